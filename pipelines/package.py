"""Stage `package`: one folder that explains and proves itself, artifacts/candidate.

It joins the identities (code, data, MLflow run) to the model that `compress` chose, signs the whole and verifies
what it wrote. DVC deletes the folder before this stage runs and restores older ones without running it, so nothing
serves from here: `windsock release` copies it to the store.
"""

import json
import logging
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

import model_signing

from contracts.artifact import (
    MANIFEST,
    MODEL,
    REFERENCE,
    SIGNATURE,
    Artifact,
    File,
    Git,
    Manifest,
    sha256,
    signing_config,
    verify,
)
from contracts.features import CATEGORY_NAMES, SCHEMA_HASH, schema
from contracts.files import write_json
from contracts.params import Params
from contracts.reference import unpack
from pipelines import tracking
from pipelines.folders import whole_folder
from pipelines.graph import check_graph
from pipelines.identity import data_identity, git_identity
from pipelines.keys import Keys, signing_keys

logger = logging.getLogger(__name__)

_LIBRARIES: Final = ("duckdb", "ibis-framework", "numpy", "onnx", "onnxruntime", "torch", "windsock")
_REPORTS: Final = ("ingest", "validation", "features", "training", "compression", "evaluation")


def main(root: Path, params: Params) -> None:
    """Write artifacts/candidate, and complete the MLflow run that it came from."""
    compression = _read(root / "reports/compression.json")
    released = compression["released"]
    run_id = _tracked_run(root, params)
    artifact = write_artifact(
        root / "artifacts/candidate",
        (root / f"artifacts/compress/{released}.onnx").read_bytes(),
        (root / "artifacts/compress/reference.npz").read_bytes(),
        signing_keys(root / "secrets"),
        released=released,
        as_of=params.as_of.isoformat(),
        metrics=_numbers(compression[released]),
        vocabulary=dict(zip(CATEGORY_NAMES, _read(root / "artifacts/train/final.json")["vocabulary"], strict=True)),
        data_sha256=data_identity(root),
        git=git_identity(root),
        mlflow_run_id=run_id,
    )
    logger.info("packaged the %s as %s: %d kB", released, artifact.version, len(artifact.model) // 1000)


def write_artifact(
    folder: Path,
    model: bytes,
    reference: bytes,
    keys: Keys,
    *,
    released: Literal["student", "teacher"],
    as_of: str,
    metrics: Mapping[str, float],
    vocabulary: Mapping[str, list[str]],
    data_sha256: Mapping[str, str],
    git: Git,
    mlflow_run_id: str,
) -> Artifact:
    """Write, sign and verify an artifact; `folder` appears whole or not at all.

    Args:
        folder: replaced when it exists.
        model: ONNX with the contract's tensors and no external data.
        reference: a packed sample of its training rows (contracts/reference.py).
        metrics: of `model` on the validation month.
        data_sha256: file name of the source -> hash.

    Raises:
        ArtifactInvalid: `model` is no such ONNX, `reference` no such sample, or `keys` are not a pair.
    """
    check_graph(model)
    unpack(reference)
    content = {MODEL: model, REFERENCE: reference}
    manifest = Manifest(
        released=released,
        as_of=as_of,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        feature_schema=schema(),
        schema_hash=SCHEMA_HASH,
        vocabulary=dict(vocabulary),
        data_sha256=dict(data_sha256),
        git=git,
        mlflow_run_id=mlflow_run_id,
        metrics=dict(metrics),
        versions={"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        files={name: File(sha256=sha256(data), bytes=len(data)) for name, data in content.items()},
    )
    with whole_folder(folder) as new:
        for name, data in content.items():
            (new / name).write_bytes(data)
        write_json(new / MANIFEST, manifest.model_dump())
        (
            model_signing.signing.Config()
            .use_elliptic_key_signer(private_key=keys.private)
            .set_hashing_config(signing_config())
            .sign(new, new / SIGNATURE)
        )
        return verify(new, keys.public)


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
