"""What a released model is: a folder that explains and proves itself.

    <digest>/
    ├── manifest.json   identity, schema, metrics, versions, sha256 of every other file
    ├── model.onnx      preprocessing and network in one graph, no external data
    ├── reference.npz   a fixed sample of the training rows, for drift (contracts/reference.py)
    └── model.sig       model-signing (sigstore bundle, EC key) over the three above

The digest is the sha256 of `manifest.json`: it names the folder in the store, the MLflow version and every
logged prediction. The verifying key comes from the reader's settings, never from the folder.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import model_signing
from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.errors import ArtifactInvalid
from contracts.features import SCHEMA_HASH

MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
REFERENCE: Final = "reference.npz"
SIGNATURE: Final = "model.sig"
FILES: Final = (MANIFEST, MODEL, REFERENCE, SIGNATURE)
MODEL_NAME: Final = "flight-delay"  # over the Open Inference Protocol and in MLflow's registry
INPUT_NUMERIC: Final = "numeric"  # FP32 [n, len(NUMERIC)]
INPUT_CATEGORY: Final = "category"  # BYTES [n, len(CATEGORY)]
OUTPUT: Final = "probability"  # FP32 [n]: of arriving late


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Part):
    sha256: str
    bytes: int


class Git(_Part):
    """`commit` is None outside a repository; `dirty` is whether code or parameters differed from it."""

    commit: str | None
    dirty: bool


class Manifest(_Part):
    format: Literal[1] = 1
    name: str = MODEL_NAME
    released: Literal["student", "teacher"]
    as_of: str  # ISO date: nothing from this day or later trained the model
    created_at: str  # ISO instant, UTC
    feature_schema: dict[str, list[dict[str, Any]]]
    schema_hash: str
    vocabulary: dict[str, list[str]]  # category -> the strings that the graph knows; another one is answered as unknown
    data_sha256: dict[str, str]  # file name of the source -> hash
    git: Git
    mlflow_run_id: str
    metrics: dict[str, float]  # of the released model on the validation month, and its size
    versions: dict[str, str]  # library -> version that made it
    files: dict[str, File]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A verified model. `model` and `reference` are the very bytes that were hashed: nothing changes in between."""

    digest: str
    manifest: Manifest
    model: bytes
    reference: bytes

    @property
    def version(self) -> str:
        """Short name of the digest, as the Open Inference Protocol's model version."""
        return self.digest[:12]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def signing_config() -> model_signing.hashing.Config:
    """What signer and verifier hash: every file of the folder but the signature itself."""
    return model_signing.hashing.Config().set_ignored_paths(paths=[Path(SIGNATURE)], ignore_git_paths=False)


def verify(folder: Path, public_key: Path, digest: str | None = None) -> Artifact:
    """Load an artifact, or refuse it.

    Args:
        folder: holds `FILES` and nothing else.
        public_key: PEM file of the EC key that must have signed it.
        digest: sha256 that the manifest must have; None accepts any, for a candidate.

    Raises:
        ArtifactInvalid: anything missing, added, changed or unsigned, or another feature schema.
    """
    try:
        content = {name: (folder / name).read_bytes() for name in FILES}
    except OSError as error:
        raise _invalid(folder, f"must hold {', '.join(FILES)}, got: {error}") from error
    _verify_signature(folder, public_key)
    found = sha256(content[MANIFEST])
    if digest is not None and found != digest:
        raise _invalid(folder, f"must have digest {digest}, got {found}")
    try:
        manifest = Manifest.model_validate(json.loads(content[MANIFEST]))
    except (ValidationError, ValueError) as error:
        raise _invalid(folder, f"must have a manifest of format 1, got: {error}") from error
    if (present := {path.name for path in folder.iterdir()}) != set(FILES):
        raise _invalid(folder, f"must hold just {', '.join(FILES)}, got {sorted(present)}")
    for name in (MODEL, REFERENCE):
        if name not in manifest.files or sha256(content[name]) != manifest.files[name].sha256:
            raise _invalid(folder, f"must have the {name} of its manifest, got another one")
    if manifest.schema_hash != SCHEMA_HASH:
        raise _invalid(folder, f"must have feature schema {SCHEMA_HASH[:12]}, got {manifest.schema_hash[:12]}")
    return Artifact(found, manifest, content[MODEL], content[REFERENCE])


def _verify_signature(folder: Path, public_key: Path) -> None:
    if not public_key.is_file():
        raise ArtifactInvalid(
            f"the verifying key `{public_key}` must be a PEM file, got nothing there; "
            "`dvc repro --force --single-item package` makes one and signs anew, or set WINDSOCK_PUBLIC_KEY"
        )
    try:
        (
            model_signing.verifying.Config()
            .use_elliptic_key_verifier(public_key=public_key)
            .set_hashing_config(signing_config())
            .verify(folder, folder / SIGNATURE)
        )
    except Exception as error:  # model-signing raises ValueError, KeyError or cryptography's own errors
        raise _invalid(folder, f"must be signed by the key {public_key}, got: {error}") from error


def _invalid(folder: Path, what: str) -> ArtifactInvalid:
    return ArtifactInvalid(
        f"artifact `{folder}` {what}; "
        "run `dvc repro --force --single-item package`, then `windsock release`, to make a good one"
    )
