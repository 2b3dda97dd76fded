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

from contracts.params import Params
from registry import tracking
from registry.identity import data_identity, git_identity
from registry.keys import signing_keys
from registry.packaging import Content, Origin, keep_envelope, write_artifact
from tasks.flights.schema import SCHEMA

logger = logging.getLogger(__name__)

_REPORTS: Final = ("ingest", "validation", "features", "training", "compression", "evaluation")


def main(root: Path, params: Params) -> None:
    """Write artifacts/candidate, and complete the MLflow run that it came from."""
    compression = _read(root / "reports/compression.json")
    released = compression["released"]
    run_id = _tracked_run(root, params)
    vocabulary = _read(root / "artifacts/train/final.json")["vocabulary"]
    content = Content(
        schema=SCHEMA,
        model=(root / f"artifacts/compress/{released}.onnx").read_bytes(),
        reference=(root / "artifacts/compress/reference.npz").read_bytes(),
        released=released,
        as_of=params.as_of.isoformat(),
        metrics=_numbers(compression[released]),
        vocabulary=dict(zip(SCHEMA.category_names, vocabulary, strict=True)),
    )
    origin = Origin(
        git=git_identity(root),
        mlflow_run_id=run_id,
        data_sha256=data_identity(root),
        parameters=params.model_dump(mode="json"),
    )
    artifact = write_artifact(root / "artifacts/candidate", content, origin, signing_keys(root / "secrets"))
    keep_envelope(root / "artifacts/candidate", root / "artifacts/envelopes", artifact.digest)
    logger.info("packaged the %s as %s: %d kB", released, artifact.version, len(artifact.model) // 1000)


def _tracked_run(root: Path, params: Params) -> str:
    """Find the run that made these weights, or tell it anew from the reports; add to it what came after training.

    There is none when DVC restored the weights without training, or when MLflow's database was lost.
    """
    with tracking.connected(root) as client:
        run_id = tracking.find_run(client, root, params)
    if run_id is None:
        with tracking.training_run(root, params) as run:
            for point in _read(root / "reports/plots/training.json"):
                run.log_epoch(point.pop("epoch"), point)
            run.finish(_numbers(_read(root / "reports/training.json")))
        run_id = run.run_id
        logger.info("MLflow knew no run of these weights: logged run %s from the reports", run_id)
    with tracking.connected(root) as client:
        evaluation = _read(root / "reports/evaluation.json")
        for month in evaluation["months"]:
            label = month["month"]
            tracking.log_metrics(client, run_id, {f"{name}/{label}": value for name, value in _numbers(month).items()})
        for name in _REPORTS:
            client.log_artifact(run_id, str(root / f"reports/{name}.json"), "reports")
        client.log_artifacts(run_id, str(root / "reports/plots"), "plots")
        client.set_tag(run_id, "released", evaluation["released"])
    return run_id


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a report, nested names joined by dots; lists and words are left to the report itself."""
    leaves = tracking.flat(values).items()
    return {name: float(value) for name, value in leaves if isinstance(value, int | float)}
