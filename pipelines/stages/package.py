"""Stage `package`: one folder that explains and proves itself, artifacts/candidate.

It joins the identities (code, data, MLflow run) to the model that `compress` chose, signs the whole and verifies
what it wrote. Of the folder, DVC keeps the content (what the digest speaks for): it deletes these files before this
stage runs and restores older ones without running it, so nothing serves from here: `windsock release` copies it to the
store. The envelope, which no two runs share, is no output; `keep_envelope` keeps it.
"""

import logging
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import msgspec

from contracts.artifact import REFERENCE, SCORER, Artifact, sha256
from contracts.reports import read_report
from contracts.reports.compression import CompressionReport
from contracts.reports.evaluation import EvaluationReport, ModelMonths
from contracts.reports.training import EpochPoint, TrainingReport
from contracts.schema import Schema
from contracts.workspace import Workspace
from pipelines import checkpoint
from registry import tracking
from registry.artifact_writer import Content, Origin, keep_envelope, write_artifact
from registry.connection import connected
from registry.identity import data_identity, git_identity
from registry.keys import signing_keys
from registry.mlflow_model import Evidence, describe
from registry.tracking import ModelResult
from tasks import load_schema

logger = logging.getLogger(__name__)

_REPORTS: Final = ("ingest", "validation", "features", "training", "compression", "evaluation")


def main(workspace: Workspace, *, task: str, as_of: date, params: Mapping[str, Any]) -> None:
    """Write artifacts/candidate, and complete the MLflow run that it came from.

    Args:
        params: the whole of params.yaml, for provenance and MLflow.
    """
    schema = load_schema(task)
    compression = read_report(workspace.report("compression"), CompressionReport)
    released = compression.released
    run_id = _find_or_log_run(workspace, schema, params)
    vocabulary = checkpoint.load_vocabulary(workspace.trained, "final")
    content = Content(
        schema=schema,
        model=(workspace.compressed / f"{released}.onnx").read_bytes(),
        reference=(workspace.compressed / REFERENCE).read_bytes(),
        scorer=(workspace.compressed / SCORER).read_bytes(),
        released=released,
        as_of=as_of.isoformat(),
        metrics=_numbers(compression.of(released)) | compression.scorer.expected(),
        vocabulary={name: list(words) for name, words in zip(schema.category_names, vocabulary, strict=True)},
    )
    origin = Origin(
        git=git_identity(workspace),
        mlflow_run_id=run_id,
        data_sha256=data_identity(workspace),
        parameters=params,
    )
    artifact = write_artifact(workspace.candidate, content, origin, signing_keys(workspace.secrets))
    keep_envelope(workspace.candidate, workspace.envelopes, artifact.digest)
    _complete_run(workspace, params, artifact, compression)
    logger.info("packaged the %s as %s: %d kB", released, artifact.version, len(artifact.model) // 1000)


def _find_or_log_run(workspace: Workspace, schema: Schema, params: Mapping[str, Any]) -> str:
    """Find the run that made these weights, or log it anew from the reports.

    There is none when DVC restored the weights without training, or when MLflow's database was lost.
    """
    with connected(workspace) as client:
        run_id = tracking.find_run(client, workspace, schema, params)
    if run_id is not None:
        return run_id
    with tracking.training_run(workspace, schema, params) as run:
        for point in _epochs(workspace):
            values = msgspec.structs.asdict(point)
            run.log_epoch(values.pop("epoch"), values)
        run.finish()
    logger.info("MLflow knew no run of these weights: logged run %s from the reports", run.run_id)
    return run.run_id


def _complete_run(
    workspace: Workspace, params: Mapping[str, Any], artifact: Artifact, compression: CompressionReport
) -> None:
    """Add what came after training: the released model's figures, reports, pictures, a child for every model."""
    run_id, released = artifact.provenance.mlflow_run_id, artifact.manifest.released
    evaluation = read_report(workspace.report("evaluation"), EvaluationReport)
    evidence = Evidence(
        run_id=run_id,
        reason=compression.reason,
        months={month.month: month.auc for month in evaluation.months},
        pictures={"AUC by month": "plots/auc_by_month.png", "Calibration": "plots/calibration.png"},
    )
    reports = [workspace.report(name) for name in _REPORTS]
    stamp = sha256(b"".join(report.read_bytes() for report in reports))
    with connected(workspace) as client:
        tracking.log_models(client, run_id, params, _results(workspace, compression, evaluation), stamp)
        tracking.log_metrics(client, run_id, artifact.manifest.metrics)
        for report in reports:
            client.log_artifact(run_id, str(report), "reports")
        client.log_artifacts(run_id, str(workspace.plots), "plots")
        tags = {"released": released, "digest": artifact.digest, tracking.NOTE: describe(artifact, evidence)}
        for name, value in tags.items():
            client.set_tag(run_id, name, value)


def _results(
    workspace: Workspace, compression: CompressionReport, evaluation: EvaluationReport
) -> dict[str, ModelResult]:
    """What the reports say of each model: on the month that chooses, and on the months after `as_of`."""
    results = {}
    for name in (tracking.TEACHER, "student", "control"):
        measured = {f"validation.{item}": value for item, value in _numbers(getattr(compression, name)).items()}
        sizes = {item: measured.pop(f"validation.{item}") for item in ("bytes", "parameters")}
        results[name] = _result(getattr(evaluation, name), measured | sizes)
    training = read_report(workspace.report("training"), TrainingReport)
    teacher = results[tracking.TEACHER]
    metrics = {**teacher.metrics, "epochs": training.epochs}
    results[tracking.TEACHER] = ModelResult(metrics, teacher.months, _epochs(workspace))
    return results | {name: _result(model, {}) for name, model in evaluation.baselines.items()}


def _result(model: ModelMonths, metrics: Mapping[str, float]) -> ModelResult:
    return ModelResult({**metrics, "mean_auc": model.mean_auc}, model.months)


def _epochs(workspace: Workspace) -> list[EpochPoint]:
    """Points of the teacher's curves."""
    return read_report(workspace.plots / "training.json", list[EpochPoint])


def _numbers(values: msgspec.Struct) -> dict[str, float]:
    """Members of a report that are numbers."""
    members = msgspec.structs.asdict(values).items()
    return {name: float(value) for name, value in members if isinstance(value, int | float)}
