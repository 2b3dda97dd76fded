"""An artifact, written: one folder that explains and proves itself. It is signed, and verified as it was written."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

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
from contracts.features import SCHEMA_HASH, schema
from contracts.files import whole_folder, write_json
from contracts.reference import unpack
from registry.keys import Keys
from registry.onnx_check import check_graph

_LIBRARIES: Final = ("duckdb", "ibis-framework", "numpy", "onnx", "onnxruntime", "torch", "windsock")


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
