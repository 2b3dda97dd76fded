"""Candidates and MLflow runs as the tests make them and look at them."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.workspace import Workspace
from pipelines.stages import package

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def children(client: "MlflowClient", parent: "Run") -> dict[str, "Run"]:
    """Name -> child of a training."""
    place = parent.info.experiment_id
    runs = client.search_runs([place], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    named = {run.data.tags["model"]: run for run in runs}
    assert len(named) == len(runs)
    return named


def curve(client: "MlflowClient", run: "Run", metric: str) -> list[tuple[int, float]]:
    """(step, value) of every point."""
    return sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric))


def package_candidate(root: Path, params: Mapping[str, Any]) -> None:
    """Run the stage `package` with these contents of params.yaml."""
    as_of = date.fromisoformat(params["as_of"])
    package.main(Workspace(root), task=params["task"], as_of=as_of, params=params)
