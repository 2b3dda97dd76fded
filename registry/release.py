"""`windsock release`: the candidate becomes what is served. Outside DVC, which replays outputs and not effects.

Each step can be repeated, and the one that changes what is served comes last: killed anywhere, the last good
champion goes on, and the next call finishes.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from contracts.artifact import Artifact, verify
from contracts.store import CHAMPION
from contracts.workspace import Workspace
from registry import store, tracking
from registry.artifact_writer import restore_envelope
from registry.connection import connected, experiment
from registry.mlflow_model import describe, describe_task, write_model

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

logger = logging.getLogger(__name__)

Alias = Literal["champion", "challenger"]


def release(
    workspace: Workspace,
    digest: str | None = None,
    alias: Alias = CHAMPION,
    before_pointing: Callable[[str], None] = lambda _: None,
) -> str:
    """Verify artifacts/candidate, store it under its digest, register it, point the champion at it.

    Args:
        digest: of a model that is in the store, or the beginning of one: it takes the candidate's place.
        alias: in MLflow. A challenger is stored and registered; champion and pointer stay as they are.
        before_pointing: called with the digest, before the store's pointer goes there.

    Returns:
        The digest.

    Raises:
        ParameterError: the store has no model, or several, whose digest begins with `digest`.
        ArtifactInvalid: the model does not verify; store and registry are untouched.
        Unavailable: MLflow cannot be reached; the champion is the one it was.
    """
    if digest is None:
        source = workspace.candidate
        restore_envelope(source, workspace.envelopes)
        found = verify(source, workspace.public_key).digest
    else:
        found = store.find(workspace.store, digest)
        source = workspace.store / found
        verify(source, workspace.public_key, found)
    with store.locked(workspace.store):
        artifact = store.keep(source, workspace.store, workspace.public_key, found)
        with connected(workspace) as client:
            version = _register(client, workspace, artifact)
            client.set_registered_model_alias(artifact.manifest.name, alias, version.version)
            if alias == CHAMPION:
                about = describe_task(artifact.schema, str(version.description))
                client.update_registered_model(artifact.manifest.name, about)
        if alias == CHAMPION:
            before_pointing(found)
            store.point(workspace.store, found)
    logger.info("%s: %s, MLflow version %s of %s", alias, workspace.store / found, version.version, version.name)
    return found


def move_alias(workspace: Workspace, name: str, digest: str) -> None:
    """Move MLflow's alias champion to a model, where this workspace has a registry that knows it.

    Args:
        name: of the registered model.

    Raises:
        Unavailable: MLflow cannot be reached.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI") and not workspace.mlflow_database.is_file():
        return
    with connected(workspace) as client:
        for version in client.search_model_versions(f"name = '{name}' and tags.digest = '{digest}'"):
            client.set_registered_model_alias(name, CHAMPION, version.version)


def _register(client: "MlflowClient", workspace: Workspace, artifact: Artifact) -> "ModelVersion":
    """One version a digest, in whichever database MLflow has now."""
    manifest = artifact.manifest
    found = client.search_model_versions(f"name = '{manifest.name}' and tags.digest = '{artifact.digest}'")
    if found:
        return found[0]
    if not client.search_registered_models(f"name = '{manifest.name}'"):
        client.create_registered_model(manifest.name)
    run = _run(client, workspace, artifact)
    with TemporaryDirectory() as folder:
        write_model(Path(folder) / "model", workspace.store / artifact.digest, artifact)
        client.log_artifacts(run.info.run_id, f"{folder}/model", artifact.version)
    return client.create_model_version(
        manifest.name,
        f"runs:/{run.info.run_id}/{artifact.version}",
        run.info.run_id,
        tags={"digest": artifact.digest, "released": manifest.released, "as_of": manifest.as_of},
        description=run.data.tags.get(tracking.NOTE) or describe(artifact),
    )


def _run(client: "MlflowClient", workspace: Workspace, artifact: Artifact) -> "Run":
    """The run in the envelope; when the database no longer has it, one that says what the envelope says."""
    origin = artifact.provenance
    place = experiment(client, workspace, artifact.manifest.name)
    for known in (f"attributes.run_id = '{origin.mlflow_run_id}'", f"tags.digest = '{artifact.digest}'"):
        if runs := client.search_runs([place], known):
            return runs[0]
    tags = tracking.identity_tags(origin.git, origin.data_sha256)
    tags |= {"digest": artifact.digest, tracking.NOTE: describe(artifact)}
    run_id = client.create_run(place, tags=tags, run_name=f"release {artifact.version}").info.run_id
    tracking.log_metrics(client, run_id, artifact.manifest.metrics)
    client.set_terminated(run_id)
    return client.get_run(run_id)
