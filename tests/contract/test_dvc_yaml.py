"""dvc.yaml says what each stage depends on: a missing line keeps a stale result, one too many costs runs."""

import importlib
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from cli.pipeline import STAGES
from pipelines.dvc_yaml.dag import CHECKOUT, NEUTRAL, render
from pipelines.dvc_yaml.dag import STAGES as DAG
from pipelines.dvc_yaml.stage_imports import closure
from pipelines.params_yaml import GENERAL
from pipelines.stages.parameters import SECTIONS

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "models", "monitoring", "pipelines", "registry", "tasks")
DVC: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def outputs(stage: str) -> list[str]:
    """Paths that the stage writes."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in DVC[stage].get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def code(stage: str) -> set[str]:
    return {path for path in DVC[stage]["deps"] if path.endswith(".py")}


@pytest.mark.parametrize(
    "params", [ROOT / "params.yaml", *sorted(ROOT.glob("workspaces/*/params.yaml"))], ids=lambda path: path.parent.name
)
def test_the_committed_file_is_what_its_generator_writes(params: Path) -> None:
    workspace, task = params.parent, yaml.safe_load(params.read_text())["task"]
    assert (workspace / "dvc.yaml").read_text() == render(workspace, task), "run `make dag`"


def test_stages_are_those_of_the_command_line() -> None:
    assert tuple(DVC) == tuple(DAG) == STAGES
    assert {name: stage["cmd"] for name, stage in DVC.items()} == {name: f"windsock stage {name}" for name in STAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_code_a_stage_depends_on_is_its_import_closure(stage: str) -> None:
    """Against another implementation, which imports nothing of ours either: grimp's graph, plus the task's parts."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    neutral = {path.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for path in NEUTRAL}
    for module in neutral & graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            graph.remove_import(importer=module, imported=imported)
    parts = {path.removesuffix(".py").replace("/", ".") for path in code(stage) if path.startswith("tasks/flights/")}
    starts = {f"pipelines.stages.{stage}", *(part for part in parts if part.split(".")[-1] in LOADED[stage])}
    modules = {module for start in starts for module in {start, *graph.find_upstream_modules(start)}} - neutral
    paths = {name.replace(".", "/") for name in modules}
    needed = {f"{path}/__init__.py" if (ROOT / path).is_dir() else f"{path}.py" for path in paths}
    extra = {f"pipelines/stages/{section}.py" for section in SECTIONS} if stage == "parameters" else set()
    assert code(stage) == needed | extra


LOADED = {
    "parameters": {"schema"},
    "ingest": {"cleaning"},
    "validate": {"cleaning"},
    "featurize": {"schema", "windows"},
    "train": {"schema"},
    "compress": {"schema"},
    "evaluate": {"schema"},
    "package": {"schema"},
}


def test_neutral_code_is_there() -> None:
    assert {path for path in NEUTRAL if not (ROOT / path).is_file()} == set()


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_sorted_and_once(stage: str) -> None:
    assert DVC[stage]["deps"] == sorted(set(DVC[stage]["deps"]))


@pytest.mark.parametrize("stage", STAGES)
def test_params_a_stage_depends_on_are_those_it_asks_for(stage: str) -> None:
    module = importlib.import_module(f"pipelines.stages.{stage}")
    asked = set(inspect.signature(module.main).parameters)
    read = asked & GENERAL.keys() | ({stage} if "parameters" in asked else set())
    if stage == "package":
        read = {*GENERAL, *SECTIONS}  # its provenance and its MLflow run record all of them
    assert {key for key in DVC[stage].get("params", []) if isinstance(key, str)} == read


def test_sections_are_the_stages_with_parameters() -> None:
    modules = {stage: importlib.import_module(f"pipelines.stages.{stage}") for stage in STAGES}
    assert tuple(stage for stage, module in modules.items() if hasattr(module, "Parameters")) == SECTIONS


@pytest.mark.parametrize("stage", STAGES[1:])
def test_every_stage_waits_until_the_whole_of_params_yaml_is_good(stage: str) -> None:
    assert "data/parameters.ok" in DVC[stage]["deps"]
    assert "params.yaml" in DVC["parameters"]["deps"]


def test_data_is_used_only_after_it_was_validated() -> None:
    users = {stage for stage in STAGES if "data/ingested" in DVC[stage]["deps"]} - {"validate"}
    assert users == {"featurize"}
    assert "reports/validation.json" in DVC["featurize"]["deps"]


def test_what_must_survive_a_failed_run_is_no_output() -> None:
    """DVC deletes outputs before a stage runs, and replays them without running it."""
    written = [Path(path) for stage in STAGES for path in outputs(stage)]
    for kept in map(Path, ("artifacts/store", "artifacts/mlflow.db", "artifacts/mlruns", "secrets", "state")):
        assert not any(kept == path or kept.is_relative_to(path) or path.is_relative_to(kept) for path in written)


def test_reports_are_kept_in_git_and_data_is_not() -> None:
    for stage in STAGES:
        for kind in ("outs", "metrics", "plots"):
            for entry in DVC[stage].get(kind, []):
                path, cached = (
                    (entry, True)
                    if isinstance(entry, str)
                    else next((path, options.get("cache", True)) for path, options in entry.items())
                )
                assert cached is not path.startswith("reports/"), path


def test_a_workspace_of_another_task_depends_on_the_same_code_and_its_own_data(tmp_path: Path) -> None:
    """`windsock pipeline build` for a folder two levels down."""
    workspace = tmp_path / "workspaces/mine"
    workspace.mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", workspace)
    command = [sys.executable, "-m", "cli", "pipeline", "build", "--root", str(workspace)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=environment())
    stages = yaml.safe_load((workspace / "dvc.yaml").read_text())["stages"]
    deps = stages["featurize"]["deps"]
    assert {path for path in deps if not path.endswith(".py")} == {
        "data/ingested",
        "data/parameters.ok",
        "reports/validation.json",
    }
    ours = {str((workspace / path).resolve()) for path in deps if path.endswith(".py")}
    assert ours == {str(ROOT / path) for path in code("featurize")}


def test_a_task_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("task: trains\n")
    command = [sys.executable, "-m", "cli", "pipeline", "build", "--root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 1
    assert "`task` must be one of flights" in done.stderr
    assert "got 'trains'" in done.stderr
    assert not (tmp_path / "dvc.yaml").exists()


def test_imports_for_type_checkers_alone_are_left_out() -> None:
    assert "contracts/tables.py" not in closure(CHECKOUT, "tasks.instants", "flights", frozenset())
    assert closure(CHECKOUT, "tasks", "flights", NEUTRAL) == set()


def test_dvc_tells_nobody() -> None:
    config = (ROOT / ".dvc/config").read_text()
    assert "analytics = false" in config
    assert "check_update = false" in config


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_the_workspace_s_objectives_are_a_dependency_where_there_are_any(tmp_path: Path) -> None:
    """DVC refuses a dependency that is not there, so the file is none before somebody writes it."""
    without = yaml.safe_load(render(tmp_path, "flights"))["stages"]
    assert [name for name, stage in without.items() if "objectives.yaml" in stage["deps"]] == []
    (tmp_path / "objectives.yaml").write_text("student_bytes: 50000\n")
    found = yaml.safe_load(render(tmp_path, "flights"))["stages"]
    assert [name for name, stage in found.items() if "objectives.yaml" in stage["deps"]] == ["compress"]


def test_the_default_thresholds_are_parameters_of_the_stage_that_reads_them() -> None:
    """Just those: another threshold in the same file re-runs nothing."""
    files = {name: [key for key in stage.get("params", []) if isinstance(key, dict)] for name, stage in DVC.items()}
    thresholds = {"contracts/objectives.py": ["Objectives.student_bytes", "Objectives.teacher_bytes"]}
    assert {name: found for name, found in files.items() if found} == {"compress": [thresholds]}
