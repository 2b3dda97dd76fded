"""What calls the Makefile: hooks before a commit, CI on a forge, and the tasks of another task than the flights."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.manifests import ROOT

WORKFLOW = ROOT / ".github/workflows/ci.yml"
HOOKS = ROOT / ".pre-commit-config.yaml"
TASKS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _workflow() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    return content


def _steps() -> list[dict[str, Any]]:
    return [step for job in _workflow()["jobs"].values() for step in job["steps"]]


def _called(text: str) -> list[str]:
    return [task for tasks in re.findall(r"\bmake ((?:[a-z-]+ ?)+)", text) for task in tasks.split()]


@pytest.mark.parametrize("file", [WORKFLOW, HOOKS, ROOT / ".ci/run"], ids=lambda path: path.name)
def test_every_task_that_is_called_exists(file: Path) -> None:
    called = _called("\n".join(line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")))
    assert called
    assert set(called) <= TASKS


def test_a_forge_runs_what_our_own_ci_runs() -> None:
    run = "\n".join(step["run"] for step in _steps() if "run" in step)
    assert {"lint", "types", "test", "demo", "cluster-up", "cluster-demo", "cluster-test", "cluster-down"} <= {
        *_called(run)
    }
    assert {"lint", "types", "test", "demo"} <= {*_called((ROOT / ".ci/run").read_text())}


def test_actions_are_pinned_by_commit_with_their_version_beside() -> None:
    used = re.findall(r"uses: (\S+)(.*)", WORKFLOW.read_text())
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_jobs_may_read_and_end() -> None:
    workflow = _workflow()
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    for name, job in workflow["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 120, name
        assert "permissions" not in job, name
    for step in _steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_hooks_fetch_nothing() -> None:
    hooks = yaml.safe_load(HOOKS.read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    assert all(hook["language"] == "system" for hook in hooks[0]["hooks"])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile with the flights and one more task."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for file in ("requirements/train.txt", "pyproject.toml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    for folder in (".", "workspaces/tides"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "params.yaml").touch()
    return tmp_path


def _make(checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", "--dry-run", *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize("command", ["demo", "release", "serve", "replay", "monitor", "stack"])
def test_tasks_work_in_the_workspace_of_the_task(checkout: Path, command: str) -> None:
    assert f"windsock {command} --root .\n" in _make(checkout, command).stdout
    assert f"windsock {command} --root workspaces/tides\n" in _make(checkout, command, "TASK=tides").stdout


def test_the_pipeline_and_mlflow_are_those_of_the_task(checkout: Path) -> None:
    assert "cd workspaces/tides && dvc repro" in _make(checkout, "repro", "TASK=tides").stdout
    assert "sqlite:///workspaces/tides/artifacts/mlflow.db" in _make(checkout, "ui", "TASK=tides").stdout


def test_an_unknown_task_is_refused_with_those_that_there_are(checkout: Path) -> None:
    done = _make(checkout, "serve", "TASK=nope")
    assert done.returncode == 2
    assert "TASK must be one of: flights tides, got 'nope'" in done.stderr


def test_unit_tests_mirror_the_rooms() -> None:
    """A folder a room, beside that of the manifests in k8s/."""
    from tests.contract.test_house import ROOMS

    folders = {path.name for path in (ROOT / "tests/unit").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= {*ROOMS, "k8s"}
    rooms = {room for room in ROOMS if any(path.name != "__init__.py" for path in (ROOT / room).rglob("*.py"))}
    assert not rooms - folders, "rooms without tests of their own"


@pytest.mark.parametrize("folder", ["tests", *(f"tests/{name}" for name in ("contract", "e2e", "support", "unit"))])
def test_folders_of_tests_fit_on_a_screen(folder: str) -> None:
    names = [path.name for path in (ROOT / folder).iterdir() if path.name != "__pycache__"]
    assert len(names) <= 12, sorted(names)
