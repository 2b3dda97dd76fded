"""dvc.yaml says what each stage depends on: a missing line keeps a stale result, one too many costs runs."""

import re
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from cli.line import STAGES
from contracts.params import Params

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "models", "monitoring", "pipelines", "registry", "tasks")
DVC: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def code(graph: grimp.ImportGraph, stage: str) -> set[str]:
    """Files of ours that `pipelines.stages.<stage>` imports, directly or not; cli and `__init__` only pass on."""
    module = f"pipelines.stages.{stage}"
    modules = {module, *graph.find_upstream_modules(module)}
    paths = {name.replace(".", "/") for name in modules}
    return {f"{path}.py" for path in paths if not (ROOT / path).is_dir()}


def outputs(stage: str) -> list[str]:
    """Paths that the stage writes."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in DVC[stage].get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_stages_are_those_of_the_command_line() -> None:
    assert tuple(DVC) == STAGES
    assert {name: stage["cmd"] for name, stage in DVC.items()} == {name: f"windsock stage {name}" for name in STAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_code_a_stage_depends_on_is_its_import_closure(graph: grimp.ImportGraph, stage: str) -> None:
    declared = {path for path in DVC[stage]["deps"] if path.endswith(".py")}
    needed = code(graph, stage)
    assert declared == needed, f"dvc.yaml, {stage}: add {sorted(needed - declared)}, drop {sorted(declared - needed)}"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_sorted_and_once(stage: str) -> None:
    assert DVC[stage]["deps"] == sorted(set(DVC[stage]["deps"]))


@pytest.mark.parametrize("stage", STAGES)
def test_params_a_stage_depends_on_are_those_it_reads(graph: grimp.ImportGraph, stage: str) -> None:
    sections = "|".join(Params.model_fields)
    read: set[str] = set()
    for path in code(graph, stage):
        read.update(re.findall(rf"\bparams\.((?:{sections})\b(?:\.\w+)?)", (ROOT / path).read_text()))
    read = {name.removesuffix(".isoformat") for name in read}
    read -= {name for name in read if name.partition(".")[0] in read - {name}}  # the whole section counts
    if stage == "package":
        read = set(Params.model_fields)  # its MLflow run is the one with all the present parameters
    assert set(DVC[stage].get("params", [])) == read


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


def test_dvc_tells_nobody() -> None:
    config = (ROOT / ".dvc/config").read_text()
    assert "analytics = false" in config
    assert "check_update = false" in config
