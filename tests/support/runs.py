"""MLflow runs as the tests look at them."""

from typing import TYPE_CHECKING

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
