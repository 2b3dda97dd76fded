"""`dirty` says whether the commit still describes what made the model: code and parameters, not what a run writes."""

import subprocess
from pathlib import Path

import pytest

from contracts.artifact import Git
from contracts.workspace import Workspace
from registry.identity import git_identity


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in (
        "pipelines/train.py",
        "tests/test_train.py",
        "params.yaml",
        "dvc.lock",
        "reports/training.json",
        "a.md",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one\n")
    return tmp_path


def commit(repository: Path) -> str:
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    return subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()


def test_clean_commit(repository: Path) -> None:
    head = commit(repository)
    identity = git_identity(Workspace(repository))
    assert (identity.commit, identity.dirty) == (head, False)


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        ("pipelines/train.py", True),
        ("pipelines/new.py", True),
        ("params.yaml", True),
        ("objectives.yaml", True),
        ("pyproject.toml", True),
        ("requirements/train.txt", True),
        ("demo/page.py", False),
        ("benchmarks/serving.py", False),
        ("workspaces/rain/params.yaml", False),
        ("reports/training.json", False),
        ("reports/plots.json", False),
        ("dvc.lock", False),
        ("a.md", False),
        ("tests/test_train.py", False),
    ],
)
def test_what_makes_it_dirty(repository: Path, name: str, dirty: bool) -> None:
    commit(repository)
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    (repository / name).write_text("two\n")
    assert git_identity(Workspace(repository)).dirty is dirty


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        ("workspaces/rain/params.yaml", True),
        ("workspaces/rain/dvc.yaml", True),
        ("workspaces/rain/dvc.lock", False),
        ("pipelines/train.py", True),
        ("requirements/train.txt", True),
        ("params.yaml", False),
        ("tests/test_train.py", False),
        ("demo/page.py", False),
    ],
)
def test_a_workspace_below_the_root_is_made_by_the_same_code_and_its_own_choices(
    repository: Path, name: str, dirty: bool
) -> None:
    workspace = Workspace(repository / "workspaces/rain")
    workspace.root.mkdir(parents=True)
    workspace.params.write_text("one\n")
    head = commit(repository)
    assert git_identity(workspace) == Git(commit=head, dirty=False)
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    (repository / name).write_text("two\n")
    assert git_identity(workspace).dirty is dirty


def test_no_repository_and_no_commit_vouch_for_nothing(repository: Path) -> None:
    for _ in range(2):
        identity = git_identity(Workspace(repository))
        assert (identity.commit, identity.dirty) == (None, True)
        subprocess.run(["git", "-C", repository, "init", "-q"], check=True)
