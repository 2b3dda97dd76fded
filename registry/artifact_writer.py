"""An artifact from its parts: content and digest, envelope, signature."""

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import model_signing
import msgspec

from contracts.artifact import (
    ENVELOPE,
    FORMAT,
    MANIFEST,
    MODEL,
    PROVENANCE,
    REFERENCE,
    SCORER,
    SIGNATURE,
    Artifact,
    File,
    Git,
    Manifest,
    Provenance,
    Released,
    sha256,
    signing_config,
    verify,
)
from contracts.errors import ArtifactInvalid
from contracts.files import whole_folder, write_atomic
from contracts.reference import unpack
from contracts.schema import Schema
from registry.keys import Keys
from registry.onnx_check import check_graph

_LIBRARIES: Final = ("duckdb", "ibis-framework", "lightgbm", "numpy", "onnx", "onnxruntime", "torch", "windsock")


@dataclass(frozen=True, slots=True)
class Content:
    """What a model is. The digest speaks for it.

    Attributes:
        model: ONNX with the schema's tensors and no external data.
        reference: a packed sample of its training rows (contracts/reference.py).
        scorer: ONNX with the same tensors, for the monitor.
        metrics: of `model` on the validation month.
    """

    schema: Schema
    model: bytes
    reference: bytes
    scorer: bytes
    released: Released
    as_of: str
    metrics: Mapping[str, float]
    vocabulary: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Origin:
    """How a model came about, beside the clock and the libraries of the process that packages it."""

    git: Git
    mlflow_run_id: str
    data_sha256: Mapping[str, str]
    parameters: Mapping[str, Any]


def write_artifact(folder: Path, content: Content, origin: Origin, keys: Keys) -> Artifact:
    """Write, sign and verify an artifact; `folder` appears whole or not at all.

    Args:
        folder: replaced when it exists.

    Raises:
        ArtifactInvalid: a graph is no such ONNX, the reference no such sample, or `keys` are not a pair.
    """
    check_graph(content.model, content.schema)
    check_graph(content.scorer, content.schema, SCORER)
    unpack(content.reference, content.schema)
    manifest = _manifest(content)
    with whole_folder(folder) as new:
        (new / MODEL).write_bytes(content.model)
        (new / REFERENCE).write_bytes(content.reference)
        (new / SCORER).write_bytes(content.scorer)
        (new / MANIFEST).write_bytes(manifest)
        (new / PROVENANCE).write_bytes(_json(_provenance(sha256(manifest), origin)))
        (
            model_signing.signing.Config()
            .use_elliptic_key_signer(private_key=keys.private)
            .set_hashing_config(signing_config())
            .sign(new, new / SIGNATURE)
        )
        return verify(new, keys.public)


def keep_envelope(artifact: Path, envelopes: Path, digest: str) -> None:
    """Copy an artifact's envelope to `envelopes/<digest>`; a newer one replaces an older one.

    DVC keeps the content, and restores it without running a stage; the envelope, which no two runs share, is kept here.
    """
    with whole_folder(envelopes / digest) as new:
        for name in ENVELOPE:
            shutil.copyfile(artifact / name, new / name)


def restore_envelope(artifact: Path, envelopes: Path) -> None:
    """Give content that DVC restored its own envelope back. One that is there and belongs to it stays.

    A damaged envelope stays, too: verification says so.

    Raises:
        ArtifactInvalid: it has none, or another's, and `envelopes` has none for it.
    """
    try:
        digest = sha256((artifact / MANIFEST).read_bytes())
    except OSError:
        return  # there is no content either: verification says so
    if all((artifact / name).is_file() for name in ENVELOPE) and _digest_of(artifact / PROVENANCE) in (digest, None):
        return
    kept = envelopes / digest
    if not kept.is_dir():
        raise ArtifactInvalid(
            f"`{artifact}` must have the envelope ({', '.join(ENVELOPE)}) of its manifest {digest[:12]}, got none "
            f"there and none in `{kept}`; run `dvc repro --force --single-item package` to write one"
        )
    for name in ENVELOPE:
        write_atomic(artifact / name, (kept / name).read_bytes())


def _digest_of(provenance: Path) -> str | None:
    """The digest that an envelope belongs to, None when it cannot be read."""
    try:
        return msgspec.json.decode(provenance.read_bytes(), type=Provenance).digest
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _manifest(content: Content) -> bytes:
    files = {MODEL: content.model, REFERENCE: content.reference, SCORER: content.scorer}
    return _json(
        Manifest(
            format=FORMAT,
            schema=content.schema,
            schema_hash=content.schema.hash,
            released=content.released,
            as_of=content.as_of,
            vocabulary=dict(content.vocabulary),
            metrics=dict(content.metrics),
            files={name: File(sha256(data), len(data)) for name, data in files.items()},
        )
    )


def _provenance(digest: str, origin: Origin) -> Provenance:
    return Provenance(
        digest=digest,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        git=origin.git,
        mlflow_run_id=origin.mlflow_run_id,
        data_sha256=dict(origin.data_sha256),
        parameters=dict(origin.parameters),
        versions={"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
    )


def _json(value: Any) -> bytes:
    """Canonical and readable: equal values give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1) + b"\n"
