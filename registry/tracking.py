"""MLflow: one experiment, one run a training, found again by the weights that it made.

The database is `artifacts/mlflow.db` unless MLFLOW_TRACKING_URI names a server. Neither is an output of DVC: DVC
restores outputs without running a stage, and people clear databases, so nothing here is needed to go on.
`mlflow` takes 2 s to import and is imported where it is used.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts.artifact import Git, sha256
from contracts.errors import Unavailable
from contracts.features import MODEL_NAME
from contracts.params import Params
from registry.identity import data_identity, git_identity

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT: Final = MODEL_NAME
WEIGHTS: Final = "weights_sha256"  # tag: of artifacts/train/final.safetensors


class TrainingRun:
    """A live run. It reports; it never decides anything."""

    def __init__(self, client: "MlflowClient", run_id: str, weights: Path) -> None:
        self.run_id = run_id
        self._client = client
        self._weights = weights

    def log_epoch(self, epoch: int, values: Mapping[str, float | None]) -> None:
        """Add one point to the curve of each value; None is left out."""
        log_metrics(self._client, self.run_id, values, step=epoch)

    def finish(self, values: Mapping[str, float | None]) -> None:
        """Add the results, and tag the run with its weights: call this when the file of weights is written."""
        log_metrics(self._client, self.run_id, values)
        self._client.set_tag(self.run_id, WEIGHTS, sha256(self._weights.read_bytes()))


@contextmanager
def training_run(root: Path, params: Params) -> Iterator[TrainingRun]:
    """Open a run with parameters and identities; an exception marks it FAILED, or KILLED when a person stopped it.

    A run whose process was killed outright stays RUNNING and has no tag `weights_sha256`: nothing finds it.

    Raises:
        Unavailable: MLflow cannot be reached or written.
    """
    with connected(root) as client:
        tags = identity_tags(git_identity(root), data_identity(root))
        run_id = client.create_run(experiment(client, root), tags=tags, run_name=f"as of {params.as_of}").info.run_id
        for name, value in flat_params(params).items():
            client.log_param(run_id, name, value)
        try:
            yield TrainingRun(client, run_id, root / "artifacts/train/final.safetensors")
        except BaseException as error:
            client.set_terminated(run_id, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")


@contextmanager
def connected(root: Path) -> Iterator["MlflowClient"]:
    """A client of the tracking server and registry, or of the local database, which is made when missing.

    Raises:
        Unavailable: whatever MLflow or its database refuses while the client is in use.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # MLflow's own 7 wait for four minutes
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # tells of each of the tables that it makes
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / 'artifacts/mlflow.db').resolve()}"
    (root / "artifacts").mkdir(exist_ok=True)
    try:
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, SQLAlchemyError) as error:
        message = (
            f"MLflow at `{uri}` must answer, got: {str(error).splitlines()[0]}; start it or correct "
            "MLFLOW_TRACKING_URI, or move a damaged artifacts/mlflow.db away, and run again"
        )
        raise Unavailable(re.sub("//[^/@]*@", "//", message)) from error  # without user and password


def experiment(client: "MlflowClient", root: Path) -> str:
    """Return the id of the one experiment, made when missing."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    # A server has a place of its own; beside a mere database MLflow would take the current folder.
    remote = client.tracking_uri.startswith("http")
    location = None if remote else (root / "artifacts/mlruns").resolve().as_uri()
    return str(client.create_experiment(EXPERIMENT, artifact_location=location))


def identity_tags(git: Git, data_sha256: Mapping[str, str]) -> dict[str, str]:
    """Which code and data made it. The name of the commit is the one that MLflow's pages show."""
    tags = {"mlflow.source.git.commit": git.commit or "none", "git_dirty": str(git.dirty).lower()}
    return tags | {f"data_sha256.{name}": value for name, value in data_sha256.items()}


def find_run(client: "MlflowClient", root: Path, params: Params) -> str | None:
    """Return the newest run that made the present weights with these parameters, None when there is none."""
    weights = sha256((root / "artifacts/train/final.safetensors").read_bytes())
    runs = client.search_runs([experiment(client, root)], f"tags.{WEIGHTS} = '{weights}'")  # newest first
    wanted = flat_params(params)
    return next((str(run.info.run_id) for run in runs if run.data.params == wanted), None)


def log_metrics(client: "MlflowClient", run_id: str, values: Mapping[str, float | None], step: int = 0) -> None:
    for name, value in values.items():
        if value is not None:
            client.log_metric(run_id, name, value, step=step)


def flat_params(params: Params) -> dict[str, str]:
    """`train.hidden` -> "[128, 128]": one string a parameter, as MLflow wants them."""
    return {name: str(value) for name, value in flat(params.model_dump(mode="json")).items()}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        leaves |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return leaves
