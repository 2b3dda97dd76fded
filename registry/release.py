"""`windsock release`: the candidate becomes what is served. Outside DVC, which replays outputs and not effects.

Each step can be repeated, and the one that changes what is served comes last: killed anywhere, the last good
champion goes on, and the next call finishes.
"""

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.artifact import FILES, Artifact, verify
from contracts.errors import ArtifactInvalid, ParameterError
from contracts.features import MODEL_NAME
from contracts.files import whole_folder, write_atomic
from registry import tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

logger = logging.getLogger(__name__)

DIGEST_LENGTH: Final = 64  # of a sha256
CHAMPION: Final = "champion"  # the alias in MLflow and the pointer in the store


def release(root: Path, digest: str | None = None) -> str:
    """Verify artifacts/candidate, store it under its digest, register it, point the champion at it.

    Args:
        digest: of a model that is in the store, or the beginning of one: it takes the candidate's place.

    Returns:
        The digest.

    Raises:
        ParameterError: the store has no model, or several, whose digest begins with `digest`.
        ArtifactInvalid: the model does not verify; store and registry are untouched.
        Unavailable: MLflow cannot be reached; the champion is the one it was.
    """
    store = root / "artifacts/store"
    public_key = root / "secrets/signing.pub"
    source = root / "artifacts/candidate" if digest is None else _find(store, digest)
    artifact = verify(source, public_key, None if digest is None else source.name)
    with _one_at_a_time(store):
        stored = store / artifact.digest
        _store(source, stored, public_key, artifact.digest)
        with tracking.connected(root) as client:
            version = _register(client, root, stored, artifact)
            client.set_registered_model_alias(MODEL_NAME, CHAMPION, version.version)
        write_atomic(store / CHAMPION, artifact.digest.encode())
    logger.info("%s: %s, MLflow version %s of %s", CHAMPION, stored, version.version, MODEL_NAME)
    return artifact.digest


def _find(store: Path, beginning: str) -> Path:
    models = sorted(path for path in store.glob("*") if len(path.name) == DIGEST_LENGTH and path.is_dir())
    found = [path for path in models if path.name.startswith(beginning)]
    if len(found) != 1:
        names = ", ".join(path.name[:12] for path in models) or "none"
        raise ParameterError(
            f"`digest` must begin the name of one model in `{store}`, got {beginning!r}; there are: {names}"
        )
    return found[0]


@contextmanager
def _one_at_a_time(store: Path) -> Iterator[None]:
    """Hold an advisory lock; the kernel frees it when the process ends, however it ends."""
    store.mkdir(parents=True, exist_ok=True)
    with (store / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _store(candidate: Path, stored: Path, public_key: Path, digest: str) -> None:
    """Copy, unless a good copy is there. What is verified is the copy, which nobody changes any more."""
    if stored.is_dir():
        try:
            verify(stored, public_key, digest)
        except ArtifactInvalid:
            logger.info("%s was damaged: replaced", stored)
        else:
            return
    with whole_folder(stored) as new:
        for name in FILES:
            shutil.copyfile(candidate / name, new / name)
        verify(new, public_key, digest)


def _register(client: "MlflowClient", root: Path, stored: Path, artifact: Artifact) -> "ModelVersion":
    """One version a digest, in whichever database MLflow has now."""
    found = client.search_model_versions(f"name = '{MODEL_NAME}' and tags.digest = '{artifact.digest}'")
    if found:
        return found[0]
    if not client.search_registered_models(f"name = '{MODEL_NAME}'"):
        client.create_registered_model(MODEL_NAME)
    manifest = artifact.manifest
    run_id = _run(client, root, artifact)
    client.log_artifacts(run_id, str(stored), artifact.version)
    return client.create_model_version(
        MODEL_NAME,
        f"runs:/{run_id}/{artifact.version}",
        run_id,
        tags={"digest": artifact.digest, "released": manifest.released, "as_of": manifest.as_of},
        description=f"{manifest.released} trained on flights before {manifest.as_of}, digest {artifact.digest}",
    )


def _run(client: "MlflowClient", root: Path, artifact: Artifact) -> str:
    """The run in the envelope; when the database no longer has it, one that says what the envelope says."""
    origin = artifact.provenance
    experiment = tracking.experiment(client, root)
    for known in (f"attributes.run_id = '{origin.mlflow_run_id}'", f"tags.digest = '{artifact.digest}'"):
        if runs := client.search_runs([experiment], known):
            return str(runs[0].info.run_id)
    tags = tracking.identity_tags(origin.git, origin.data_sha256) | {"digest": artifact.digest}
    run_id = str(client.create_run(experiment, tags=tags, run_name=f"release {artifact.version}").info.run_id)
    tracking.log_metrics(client, run_id, artifact.manifest.metrics)
    client.set_terminated(run_id)
    return run_id
