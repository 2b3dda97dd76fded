"""What a released model is: a folder that explains and proves itself.

    <digest>/
    ├── manifest.json     the content: schema of the task, vocabulary, metrics, sha256 of the other content
    ├── model.onnx        preprocessing and network in one graph, no external data
    ├── reference.npz     a fixed sample of the training rows, for drift (contracts/reference.py)
    ├── scorer.onnx       a small gradient-boosted scorer with the graph's tensors, to measure the model against
    ├── provenance.json   the envelope: when, from which commit, run, data and parameters, with which libraries
    └── model.sig         model-signing (sigstore bundle, EC key) over the five above

The digest is the sha256 of `manifest.json`: it names the folder in the store, the MLflow version and every logged
prediction. Equal work has an equal digest on any day: clock, run and commit stand in the envelope, which the signature
covers, too. The verifying key comes from the reader's settings, never from the folder.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import model_signing
import msgspec

from contracts.errors import ArtifactInvalid, SchemaInvalid
from contracts.schema import Schema

MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
REFERENCE: Final = "reference.npz"
SCORER: Final = "scorer.onnx"
PROVENANCE: Final = "provenance.json"
SIGNATURE: Final = "model.sig"
CONTENT: Final = (MANIFEST, MODEL, REFERENCE, SCORER)  # what the digest speaks for
ENVELOPE: Final = (PROVENANCE, SIGNATURE)
FILES: Final = (*CONTENT, *ENVELOPE)
FORMAT: Final = 3  # 1 had the constants of one task in it, and the clock in the digest; 2 had no scorer
INPUT_NUMERIC: Final = "numeric"  # FP32 [n, len(schema.numeric)]
INPUT_CATEGORY: Final = "category"  # BYTES [n, len(schema.category)]
OUTPUT: Final = "probability"  # FP32 [n]: of the positive outcome
Released = Literal["student", "teacher"]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


Part = TypeVar("Part", bound=_Part)


class File(_Part, frozen=True):
    sha256: str
    bytes: int


class Git(_Part, frozen=True):
    """`commit` is None outside a repository; `dirty` is whether code or parameters differed from it."""

    commit: str | None
    dirty: bool


class Manifest(_Part, frozen=True):
    """What the model is: the same for the same work, whenever and by whomever it is done.

    Attributes:
        schema_hash: of `schema`, held against it.
        as_of: ISO date; nothing from this day or later trained the model.
        vocabulary: category -> the strings that the graph knows; another one is answered as unknown.
        metrics: of the released model on the validation month, and of the reference scorer beside it
            (contracts/reports/compression.py, `ScorerReport.expected`).
        files: model, reference and scorer.
    """

    format: Literal[3]
    schema: Schema
    schema_hash: str
    released: Released
    as_of: str
    vocabulary: dict[str, list[str]]
    metrics: dict[str, float]
    files: dict[str, File]

    @property
    def name(self) -> str:
        """Of the model, over the Open Inference Protocol and in MLflow's registry."""
        return self.schema.name


class Provenance(_Part, frozen=True):
    """How the model came about: different each time, and signed with it.

    Attributes:
        digest: of the manifest that it belongs to.
        created_at: ISO instant, UTC.
        data_sha256: file name of the source -> hash.
        parameters: the whole of params.yaml.
        versions: library -> version that made it.
    """

    digest: str
    created_at: str
    git: Git
    mlflow_run_id: str
    data_sha256: dict[str, str]
    parameters: dict[str, Any]
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A verified model. `model`, `reference` and `scorer` are the very bytes that were hashed."""

    digest: str
    manifest: Manifest
    provenance: Provenance
    model: bytes
    reference: bytes
    scorer: bytes

    @property
    def schema(self) -> Schema:
        return self.manifest.schema

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
        ArtifactInvalid: anything missing, added, changed or unsigned, of another format, or with a wrong schema.
    """
    try:
        manifest_bytes = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise _invalid(folder, f"must hold {', '.join(FILES)}, got: {error}") from error
    _check_format(folder, manifest_bytes)  # first, as a folder of an older format lacks files that are asked for below
    try:
        content = {name: (folder / name).read_bytes() for name in FILES} | {MANIFEST: manifest_bytes}
    except OSError as error:
        raise _invalid(folder, f"must hold {', '.join(FILES)}, got: {error}") from error
    _verify_signature(folder, public_key)
    found = sha256(manifest_bytes)
    if digest is not None and found != digest:
        raise _invalid(folder, f"must have digest {digest}, got {found}")
    if (present := {path.name for path in folder.iterdir()}) != set(FILES):
        raise _invalid(folder, f"must hold just {', '.join(FILES)}, got {sorted(present)}")
    manifest = _decoded(folder, manifest_bytes, Manifest)
    provenance = _decoded(folder, content[PROVENANCE], Provenance)
    for name in (MODEL, REFERENCE, SCORER):
        if name not in manifest.files or sha256(content[name]) != manifest.files[name].sha256:
            raise _invalid(folder, f"must have the {name} of its manifest, got another one")
    if manifest.schema_hash != manifest.schema.hash:
        raise _invalid(
            folder, f"must have a schema of hash {manifest.schema_hash[:12]}, got {manifest.schema.hash[:12]}"
        )
    if provenance.digest != found:
        raise _invalid(folder, f"must have an envelope for {found}, got one for {provenance.digest}")
    return Artifact(found, manifest, provenance, content[MODEL], content[REFERENCE], content[SCORER])


def _check_format(folder: Path, manifest: bytes) -> None:
    try:
        found = msgspec.json.decode(manifest)["format"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise _invalid(folder, f"must have a manifest of format {FORMAT}, got: {error!r}") from error
    if found != FORMAT:
        raise ArtifactInvalid(
            f"artifact `{folder}` must have a manifest of format {FORMAT}, got {found!r}, which another version wrote; "
            "run `dvc repro`, then `windsock release`, to make one of this version"
        )


def _decoded(folder: Path, content: bytes, kind: type[Part]) -> Part:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, SchemaInvalid) as error:
        raise _invalid(folder, f"must have a {kind.__name__.lower()} of format {FORMAT}, got: {error}") from error


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
