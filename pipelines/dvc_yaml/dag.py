"""The pipeline as DVC sees it: what each stage reads and writes, and from which code and parameters it follows.

`windsock pipeline build` writes a workspace's dvc.yaml from this. Data and parameters stand in `STAGES`; the code that
a stage depends on is derived from its imports, so the list cannot go stale.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.artifact import CONTENT
from contracts.files import write_atomic
from contracts.workspace import Workspace

CHECKOUT: Final = Path(__file__).resolve().parents[2]
# Code that cannot change what a stage writes: a new error class or another word in a log re-runs nothing.
NEUTRAL: Final = frozenset(
    {
        "contracts/errors.py",  # what is said when there is no output
        "contracts/files.py",  # how bytes get to the disk, not which
        "contracts/objectives.py",  # those thresholds that a stage reads are parameters of it
        "contracts/reports/__init__.py",  # reads and writes reports; what is in them stands in their own modules
        "contracts/workspace.py",  # where files are: the paths below
        "pipelines/params_yaml.py",  # checks params.yaml; the values are dependencies themselves
        "registry/connection.py",  # MLflow is told what was done; no output holds anything of it
        "registry/identity.py",  # the same, and the provenance, which is no output
        "registry/mlflow_model/__init__.py",
        "registry/tracking.py",
        "tasks/__init__.py",  # finds the parts of a task, which are dependencies themselves
    }
)
_HEADER: Final = """\
# Written by `windsock pipeline build` from pipelines/dvc_yaml/dag.py; edit that. `dvc repro` runs what changed.
# - Every stage waits for data/parameters.ok: DVC looks only at the keys under `params`, so the first stage reads and
#   checks the whole of params.yaml. Its content is constant: a good edit re-runs only the stages that read it.
# - The code under `deps` is what the stage imports of ours, less what cannot change its output.
# - Reports are small and public: git keeps them (`cache: false`). Data and models are kept by DVC.
# - The released model is no output: DVC deletes outputs before a stage runs. `windsock release` copies the candidate.
"""
_AT: Final = Workspace(Path())


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of DVC. Paths are relative to the workspace.

    Attributes:
        inputs: data and reports that it reads.
        outputs: data and models; DVC keeps them.
        reports: git keeps them.
        metrics: reports that `dvc metrics` shows.
        params: keys of params.yaml.
        objectives: thresholds that it reads. Their defaults are parameters for DVC, in contracts/objectives.py; the
            workspace's own file is a dependency where there is one, as DVC refuses one that is not there.
    """

    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    reports: tuple[Path, ...] = ()
    metrics: tuple[Path, ...] = ()
    params: tuple[str, ...] = ("task",)
    objectives: tuple[str, ...] = ()


STAGES: Final = {
    "parameters": Stage(inputs=(_AT.params,), outputs=(_AT.parameters_checked,), params=()),
    "ingest": Stage(outputs=(_AT.ingested,), reports=(_AT.report("ingest"),), params=("task", "ingest")),
    "validate": Stage(inputs=(_AT.ingested,), reports=(_AT.report("validation"),)),
    "featurize": Stage(
        inputs=(_AT.ingested, _AT.report("validation")),
        outputs=(_AT.features,),
        reports=(_AT.report("features"),),
    ),
    "train": Stage(
        inputs=(_AT.features,),
        outputs=(_AT.trained,),
        reports=(_AT.plots / "training.json",),
        metrics=(_AT.report("training"),),
        params=("task", "as_of", "seed", "train"),
    ),
    "compress": Stage(
        inputs=(_AT.features, _AT.trained),
        outputs=(_AT.compressed,),
        metrics=(_AT.report("compression"),),
        params=("task", "as_of", "seed", "compress"),
        objectives=("student_bytes", "teacher_bytes"),
    ),
    "evaluate": Stage(
        inputs=(_AT.features, _AT.compressed, _AT.report("compression")),
        reports=tuple(_AT.plots / name for name in ("months.json", "auc_by_month.png", "calibration.png")),
        metrics=(_AT.report("evaluation"),),
        params=("task", "as_of", "seed"),
    ),
    "package": Stage(
        inputs=(
            _AT.compressed,
            *(_AT.trained / name for name in ("final.json", "final.safetensors")),
            *map(_AT.report, ("ingest", "validation", "features", "training", "compression", "evaluation")),
            *(_AT.plots / n for n in ("auc_by_month.png", "calibration.png", "months.json", "training.json")),
        ),
        # What the digest speaks for. Provenance and signature differ each time, and git stays clean without them.
        outputs=tuple(_AT.candidate / name for name in CONTENT),
        # The provenance records all of them.
        params=("task", "as_of", "seed", "ingest", "train", "compress"),
    ),
}
_PLOTS: Final[list[Any]] = [
    {"loss by epoch": {"x": "epoch", "y": {"reports/plots/training.json": ["train_loss", "validation_log_loss"]}}},
    # Template `by_model` draws one line a model: .dvc/plots/by_model.json
    {"AUC by month": {"x": "month", "y": {"reports/plots/months.json": "auc"}, "template": "by_model"}},
    "reports/plots/auc_by_month.png",
    "reports/plots/calibration.png",
]


def build(root: Path) -> None:
    """Write `<root>/dvc.yaml` for the task that its params.yaml names.

    Raises:
        ParameterError: no readable params.yaml, or a task that is not there.
    """
    from pipelines.params_yaml import read_params
    from tasks import load_schema

    workspace = Workspace(root)
    task = str(read_params(workspace.params).get("task"))
    load_schema(task)
    write_atomic(root / "dvc.yaml", render(root, task).encode())


def render(root: Path, task: str) -> str:
    """dvc.yaml of a workspace at `root`, below the checkout or anywhere else on this disk."""
    import yaml

    code = os.path.relpath(CHECKOUT, root.resolve())
    stages = {name: _entry(name, stage, task, root, code) for name, stage in STAGES.items()}
    return _HEADER + yaml.safe_dump({"stages": stages, "plots": _PLOTS}, sort_keys=False, width=1000)


def _entry(name: str, stage: Stage, task: str, root: Path, code: str) -> dict[str, Any]:
    from pipelines.dvc_yaml.stage_imports import closure

    needed = closure(CHECKOUT, f"pipelines.stages.{name}", task, NEUTRAL)
    deps = {os.path.normpath(Path(code, path)) for path in needed} | {str(path) for path in stage.inputs}
    if name == "parameters":
        from pipelines.stages.parameters import SECTIONS

        deps |= {os.path.normpath(Path(code, f"pipelines/stages/{section}.py")) for section in SECTIONS}
    else:
        deps.add(str(_AT.parameters_checked))
    thresholds = [f"Objectives.{threshold}" for threshold in stage.objectives]
    defaults = os.path.normpath(Path(code, "contracts/objectives.py"))
    if thresholds and Workspace(root).objectives.exists():
        deps.add(str(_AT.objectives))
    entry = {
        "cmd": f"windsock stage {name}",
        "deps": sorted(deps),
        "params": [*stage.params, *([{defaults: thresholds}] if thresholds else [])],
        "outs": [*map(str, stage.outputs), *({str(path): {"cache": False}} for path in stage.reports)],
        "metrics": [{str(path): {"cache": False}} for path in stage.metrics],
    }
    return {key: value for key, value in entry.items() if value}
