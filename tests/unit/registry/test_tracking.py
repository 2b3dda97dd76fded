"""A run tells how it was made and how it ended, and is found by what it made."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.artifact import sha256
from contracts.errors import Unavailable
from contracts.workspace import Workspace
from registry import tracking
from registry.connection import connected
from tasks.flights.schema import SCHEMA
from tests.support.runs import children


def test_run_has_parameters_curves_and_identities(project: Path, params: dict[str, Any]) -> None:
    with tracking.training_run(Workspace(project), SCHEMA, params) as run:
        run.log_epoch(1, {"train_loss": 0.6, "validation_auc": None})
        run.log_epoch(2, {"train_loss": 0.5, "validation_auc": 0.7})
        run.finish()
    with connected(Workspace(project)) as client:
        found = client.get_run(run.run_id)
        teacher = children(client, found)["teacher"]
        losses = client.get_metric_history(teacher.info.run_id, "train_loss")
        aucs = client.get_metric_history(teacher.info.run_id, "validation_auc")
    assert [(point.step, point.value) for point in losses] == [(1, 0.6), (2, 0.5)]
    assert [(point.step, point.value) for point in aucs] == [(2, 0.7)]
    assert found.data.params["as_of"] == "2013-07-01"
    assert found.data.params["train.hidden"] == str(params["train"]["hidden"])
    assert found.data.tags["data_sha256.flights.csv.zip"] == "1f" * 32
    assert found.data.tags["mlflow.source.git.commit"] == "none"
    assert found.data.tags["git_dirty"] == "true"
    assert len(found.data.tags["weights_sha256"]) == 64
    assert (found.info.status, teacher.info.status) == ("FINISHED", "FINISHED")
    assert set(teacher.data.params) == {"task", "as_of", "seed", "ingest.keep_every"} | {
        name for name in found.data.params if name.startswith("train.")
    }
    assert found.data.metrics == {}


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_that_ends_badly_is_marked_and_not_found(
    project: Path, params: dict[str, Any], error: type[BaseException], status: str
) -> None:
    with pytest.raises(error), tracking.training_run(Workspace(project), SCHEMA, params) as run:
        raise error
    with connected(Workspace(project)) as client:
        assert client.get_run(run.run_id).info.status == status
        assert tracking.find_run(client, Workspace(project), SCHEMA, params) is None


def test_data_sets_of_a_run_are_named_with_digest_and_source(project: Path, params: dict[str, Any]) -> None:
    with tracking.training_run(Workspace(project), SCHEMA, params) as run:
        pass
    with connected(Workspace(project)) as client:
        logged = client.get_run(run.run_id).inputs
    assert logged is not None
    inputs = logged.dataset_inputs
    digest = sha256((project / "data/features.parquet").read_bytes())
    tags = [{tag.key: tag.value for tag in found.tags} for found in inputs]
    assert {tag["mlflow.data.context"] for tag in tags} == {"training", "validation", "production"}
    assert {tag["sha256"] for tag in tags} == {digest}
    assert {found.dataset.digest for found in inputs} == {digest[:36]}
    assert {json.loads(found.dataset.source)["uri"] for found in inputs} == {"data/features.parquet"}
    assert len({found.dataset.name for found in inputs}) == 3
    assert all("2013-07-01" in found.dataset.name for found in inputs)
    columns = json.loads(str(inputs[0].dataset.schema))["mlflow_colspec"]
    assert [column["name"] for column in columns] == list(SCHEMA.names)


def test_a_run_is_found_by_the_weights_it_made(project: Path, params: dict[str, Any]) -> None:
    with tracking.training_run(Workspace(project), SCHEMA, params) as run:
        run.finish()
    with connected(Workspace(project)) as client:
        assert tracking.find_run(client, Workspace(project), SCHEMA, params) == run.run_id
        (project / "artifacts/train/final.safetensors").write_bytes(b"other weights")
        assert tracking.find_run(client, Workspace(project), SCHEMA, params) is None


def test_files_of_a_run_lie_in_the_project_wherever_one_stands(project: Path, params: dict[str, Any]) -> None:
    with tracking.training_run(Workspace(project), SCHEMA, params) as run:
        pass
    with connected(Workspace(project)) as client:
        assert client.get_run(run.run_id).info.artifact_uri.startswith((project / "artifacts/mlruns").as_uri())


def test_a_server_that_is_away_is_named_without_its_password(
    project: Path, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somebody:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    rule = r"MLflow at `http://127.0.0.1:9` must answer.*MLFLOW_TRACKING_URI"
    with (
        pytest.raises(Unavailable, match=rule) as caught,
        tracking.training_run(Workspace(project), SCHEMA, params),
    ):
        pytest.fail("there is no server")
    assert "secret" not in str(caught.value)


def test_importing_the_stages_does_not_import_mlflow() -> None:
    code = (
        "import sys, registry.tracking, pipelines.stages.package, registry.release; sys.exit('mlflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_number_of_a_slice_keeps_its_name_as_far_as_mlflow_has_the_signs(
    project: Path, params: dict[str, Any]
) -> None:
    with tracking.training_run(Workspace(project), SCHEMA, params) as run:
        run.finish()
    with connected(Workspace(project)) as client:
        tracking.log_metrics(client, run.run_id, {"loss/origin=JFK": 0.5, "loss": None})
        assert client.get_run(run.run_id).data.metrics == {"loss/origin:JFK": 0.5}
