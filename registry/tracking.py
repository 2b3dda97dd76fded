"""What MLflow is told: one run a training, with a child for every model that came out of it.

    as of 2013-07-01          parameters, data sets, reports, plots, tags; metrics are the released model's
    ├── teacher               its own parameters; its loss by epoch
    ├── student, control, ...
    └── logistic_regression

A child's `auc`, `log_loss`, `brier` and `ece` are by month: the step is the month as a number (201307), so curves of
two trainings lie over each other. What was measured on the month that chooses is called `validation.auc` and so on.
A run is found again by the weights that it made: their hash is a tag.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from contracts.artifact import Git, sha256
from contracts.reports.evaluation import MonthQuality
from contracts.reports.training import EpochPoint
from contracts.schema import Schema
from contracts.workspace import Workspace
from registry.connection import connected, experiment
from registry.identity import data_identity, git_identity
from registry.mlflow_model.datasets import log_datasets

if TYPE_CHECKING:
    from mlflow import MlflowClient

WEIGHTS: Final = "weights_sha256"  # tag of a training: of artifacts/train/final.safetensors
MODEL: Final = "model"  # tag of a child: its name
REPORTED: Final = "reports_sha256"  # tag of a child: of the reports that it was completed from
NOTE: Final = "mlflow.note.content"  # tag of a training: its description, which the version gets, too
TEACHER: Final = "teacher"
_COMMON: Final = ("task", "as_of", "seed", "ingest.")
# Child -> beginnings of the parameters that made it, as the stages in dvc.yaml read them.
_OWN: Final = {
    TEACHER: (*_COMMON, "train."),
    "student": (*_COMMON, "compress."),
    "control": (*_COMMON, "compress."),
}


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What the reports say of one model. `metrics`: name -> number; None is left out."""

    metrics: Mapping[str, float | None]
    months: Sequence[MonthQuality] = ()
    epochs: Sequence[EpochPoint] = ()


class TrainingRun:
    """A live run. It reports; it never decides anything."""

    def __init__(self, client: "MlflowClient", run_id: str, teacher: str, weights: Path) -> None:
        self.run_id = run_id
        self._client = client
        self._teacher = teacher
        self._weights = weights

    def log_epoch(self, epoch: int, values: Mapping[str, float | None]) -> None:
        """Add one point to each of the teacher's curves; None is left out."""
        log_metrics(self._client, self._teacher, values, step=epoch)

    def finish(self) -> None:
        """Tag the run with its weights: call this when their file is written."""
        self._client.set_tag(self.run_id, WEIGHTS, sha256(self._weights.read_bytes()))


@contextmanager
def training_run(workspace: Workspace, schema: Schema, parameters: Mapping[str, Any]) -> Iterator[TrainingRun]:
    """Open a run with parameters, identities, data sets and the teacher's child.

    An exception marks both FAILED, or KILLED when a person stopped them. A run whose process was killed outright stays
    RUNNING and has no tag `weights_sha256`: nothing finds it.

    Args:
        parameters: the whole of params.yaml as plain data.

    Raises:
        Unavailable: MLflow cannot be reached or written.
    """
    with connected(workspace) as client:
        tags = identity_tags(git_identity(workspace), data_identity(workspace))
        place = experiment(client, workspace, schema.name)
        run_id = client.create_run(place, tags=tags, run_name=f"as of {parameters['as_of']}").info.run_id
        _log_params(client, run_id, flat_parameters(parameters))
        log_datasets(client, run_id, workspace, schema, parameters["as_of"])
        teacher = _new_child(client, place, run_id, TEACHER, parameters)
        status = "FAILED"
        try:
            yield TrainingRun(client, run_id, teacher, workspace.trained / "final.safetensors")
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            for ended in (teacher, run_id):
                client.set_terminated(ended, status)


def find_run(client: "MlflowClient", workspace: Workspace, schema: Schema, parameters: Mapping[str, Any]) -> str | None:
    """Return the newest run that made the present weights with these parameters, None when there is none."""
    weights = sha256((workspace.trained / "final.safetensors").read_bytes())
    place = experiment(client, workspace, schema.name)
    runs = client.search_runs([place], f"tags.{WEIGHTS} = '{weights}'")  # newest first
    wanted = flat_parameters(parameters)
    return next((str(run.info.run_id) for run in runs if run.data.params == wanted), None)


def log_models(
    client: "MlflowClient", run_id: str, parameters: Mapping[str, Any], results: Mapping[str, ModelResult], stamp: str
) -> None:
    """Complete the children of a run; one that is complete already is left alone.

    Args:
        run_id: of the training.
        results: name of a model -> what the reports say.
        stamp: hash of the reports. A child that was completed from others is made anew.
    """
    place = client.get_run(run_id).info.experiment_id
    runs = client.search_runs([place], f"tags.`mlflow.parentRunId` = '{run_id}'")
    known = {run.data.tags[MODEL]: run for run in runs}
    for name, result in results.items():
        child = known.get(name)
        reported = child and child.data.tags.get(REPORTED)
        if reported == stamp:
            continue
        if child and reported:
            client.delete_run(child.info.run_id)
        if child and not reported:  # the teacher as `train` left it, epochs and all
            child_id = child.info.run_id
        else:
            child_id = _new_child(client, place, run_id, name, parameters)
            _log_points(client, child_id, result.epochs, "epoch")
        _log_points(client, child_id, result.months, "month")
        log_metrics(client, child_id, result.metrics)
        client.set_tag(child_id, REPORTED, stamp)
        client.set_terminated(child_id)


def identity_tags(git: Git, data_sha256: Mapping[str, str]) -> dict[str, str]:
    """Which code and data made it. The name of the commit is the one that MLflow's pages show."""
    tags = {"mlflow.source.git.commit": git.commit or "none", "git_dirty": str(git.dirty).lower()}
    return tags | {f"data_sha256.{name}": value for name, value in data_sha256.items()}


def log_metrics(client: "MlflowClient", run_id: str, values: Mapping[str, float | None], step: int = 0) -> None:
    """Write the numbers in one request; None is left out.

    MLflow's names have no equals sign: "loss/origin=JFK" of a slice is "loss/origin:JFK" there.
    """
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    known = {name.replace("=", ":"): value for name, value in values.items() if value is not None}
    client.log_batch(run_id, [Metric(name, value, now, step) for name, value in known.items()])


def flat_parameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """`train.hidden` -> "[128, 128]": one string a parameter, as MLflow wants them."""
    return {name: str(value) for name, value in flat(parameters).items()}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots.

    >>> flat({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        leaves |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return leaves


def _new_child(client: "MlflowClient", place: str, parent: str, name: str, parameters: Mapping[str, Any]) -> str:
    tags = {"mlflow.parentRunId": parent, MODEL: name}
    run_id = str(client.create_run(place, tags=tags, run_name=name).info.run_id)
    own = _OWN.get(name, _COMMON)
    _log_params(
        client, run_id, {key: value for key, value in flat_parameters(parameters).items() if key.startswith(own)}
    )
    return run_id


def _log_params(client: "MlflowClient", run_id: str, values: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    client.log_batch(run_id, params=[Param(name, value) for name, value in values.items()])


def _log_points(client: "MlflowClient", run_id: str, points: Sequence[MonthQuality | EpochPoint], key: str) -> None:
    """One step a point, at the number in its `key`: an epoch, or a month like "2013-07"."""
    for point in points:
        values = msgspec.structs.asdict(point)
        step = int(str(values.pop(key)).replace("-", ""))
        log_metrics(client, run_id, values, step=step)
