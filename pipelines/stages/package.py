"""Stage `package`: one folder that explains and proves itself, artifacts/candidate.

It joins the identities (code, data, MLflow run) to the model that `compress` chose, signs the whole and verifies
what it wrote. DVC deletes the folder before this stage runs and restores older ones without running it, so nothing
serves from here: `windsock release` copies it to the store.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from contracts.artifact import Artifact, sha256
from contracts.params import Params
from contracts.workspace import Workspace
from registry import tracking
from registry.connection import connected
from registry.identity import data_identity, git_identity
from registry.keys import signing_keys
from registry.mlflow_model import Evidence, describe
from registry.packaging import Content, Origin, keep_envelope, write_artifact
from registry.tracking import ModelResult
from tasks.flights.schema import SCHEMA

logger = logging.getLogger(__name__)

_REPORTS: Final = ("ingest", "validation", "features", "training", "compression", "evaluation")
_NETWORKS: Final = {"teacher": "teacher", "student": "student", "twin": "control"}  # in the reports -> in MLflow


def main(root: Path, params: Params) -> None:
    """Write artifacts/candidate, and complete the MLflow run that it came from."""
    workspace, parameters = Workspace(root), params.model_dump(mode="json")
    compression = _read(workspace.report("compression"))
    released = compression["released"]
    run_id = _find_or_log_run(workspace, parameters)
    vocabulary = _read(workspace.trained / "final.json")["vocabulary"]
    content = Content(
        schema=SCHEMA,
        model=(workspace.compressed / f"{released}.onnx").read_bytes(),
        reference=(workspace.compressed / "reference.npz").read_bytes(),
        released=released,
        as_of=params.as_of.isoformat(),
        metrics=_numbers(compression[released]),
        vocabulary=dict(zip(SCHEMA.category_names, vocabulary, strict=True)),
    )
    origin = Origin(
        git=git_identity(workspace),
        mlflow_run_id=run_id,
        data_sha256=data_identity(workspace),
        parameters=parameters,
    )
    artifact = write_artifact(workspace.candidate, content, origin, signing_keys(workspace.secrets))
    keep_envelope(workspace.candidate, workspace.envelopes, artifact.digest)
    _complete_run(workspace, parameters, artifact)
    logger.info("packaged the %s as %s: %d kB", released, artifact.version, len(artifact.model) // 1000)


def _find_or_log_run(workspace: Workspace, parameters: Mapping[str, Any]) -> str:
    """Find the run that made these weights, or log it anew from the reports.

    There is none when DVC restored the weights without training, or when MLflow's database was lost.
    """
    with connected(workspace) as client:
        run_id = tracking.find_run(client, workspace, SCHEMA, parameters)
    if run_id is not None:
        return run_id
    with tracking.training_run(workspace, SCHEMA, parameters) as run:
        for point in _read(workspace.report("plots/training")):
            run.log_epoch(point.pop("epoch"), point)
        run.finish()
    logger.info("MLflow knew no run of these weights: logged run %s from the reports", run.run_id)
    return run.run_id


def _complete_run(workspace: Workspace, parameters: Mapping[str, Any], artifact: Artifact) -> None:
    """Add what came after training: the released model's figures, reports, pictures, a child for every model."""
    run_id, released = artifact.provenance.mlflow_run_id, artifact.manifest.released
    evaluation = _read(workspace.report("evaluation"))
    evidence = Evidence(
        run_id=run_id,
        reason=_read(workspace.report("compression"))["reason"],
        months={month["month"]: month["auc"] for month in evaluation["months"]},
        pictures={"AUC by month": "plots/auc_by_month.png", "Calibration": "plots/calibration.png"},
    )
    reports = [workspace.report(name) for name in _REPORTS]
    stamp = sha256(b"".join(report.read_bytes() for report in reports))
    with connected(workspace) as client:
        tracking.log_models(client, run_id, parameters, _results(workspace, evaluation), stamp)
        tracking.log_metrics(client, run_id, artifact.manifest.metrics)
        for report in reports:
            client.log_artifact(run_id, str(report), "reports")
        client.log_artifacts(run_id, str(workspace.plots), "plots")
        tags = {"released": released, "digest": artifact.digest, tracking.NOTE: describe(artifact, evidence)}
        for name, value in tags.items():
            client.set_tag(run_id, name, value)


def _results(workspace: Workspace, evaluation: Mapping[str, Any]) -> dict[str, ModelResult]:
    """What the reports say of each model: on the month that chooses, and on the months after `as_of`."""
    compression = _read(workspace.report("compression"))
    epochs = _read(workspace.report("plots/training"))
    chosen = _read(workspace.report("training"))["epochs"]
    results = {}
    for key, name in _NETWORKS.items():
        measured = {f"validation.{item}": value for item, value in _numbers(compression[key]).items()}
        sizes = {item: measured.pop(f"validation.{item}", None) for item in ("bytes", "parameters")}
        more = {"epochs": chosen} if name == tracking.TEACHER else {}
        results[name] = ModelResult(
            measured | sizes | more | {"mean_auc": evaluation[key]["mean_auc"]},
            evaluation[key]["months"],
            epochs if name == tracking.TEACHER else (),
        )
    for name, told in evaluation["baselines"].items():
        results[name] = ModelResult({"mean_auc": told["mean_auc"]}, told["months"])
    return results


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a report, nested names joined by dots; lists and words are left to the report itself."""
    leaves = tracking.flat(values).items()
    return {name: float(value) for name, value in leaves if isinstance(value, int | float)}
