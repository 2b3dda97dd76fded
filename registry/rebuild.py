"""`windsock rebuild`: the same bytes once more, from the commit, parameters and data that a model's envelope names.

Nothing is checked out or fetched: what is not at hand is said, with what to do. The stages run in a scratch folder.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import yaml

from contracts.artifact import CONTENT, MANIFEST, Artifact, Manifest, Provenance, verify
from contracts.errors import NotReproducible, ParameterError
from contracts.files import write_atomic
from contracts.workspace import Workspace
from registry.identity import data_identity, git_identity
from registry.store import find

logger = logging.getLogger(__name__)

_SHORT: Final = 12  # digits of a digest or commit that people are shown


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of a model that was made again.

    Attributes:
        differences: what is not as it was; none when the bytes are the same.
        versions: libraries that are not those that made it, as "torch 2.13.0 (was 2.12.1)".
    """

    digest: str
    differences: list[str]
    versions: list[str]


def rebuild(
    workspace: Workspace,
    store: Path,
    public_key: Path,
    beginning: str,
    stages: Iterable[str],
    run_stage: Callable[[str, Path], None],
) -> Rebuilt:
    """Make a model of the store again, and compare.

    Args:
        beginning: of its digest.
        stages: of the pipeline, in order.
        run_stage: runs one of them in the workspace of this folder.

    Raises:
        ParameterError: the store has no model, or several, whose digest begins so.
        ArtifactInvalid: it does not verify.
        NotReproducible: commit, parameters or data are not at hand; one sentence each.
    """
    digest = find(store, beginning)
    artifact = verify(store / digest, public_key, digest)
    _refuse(_code_mismatches(workspace, artifact.provenance))
    with TemporaryDirectory(prefix="windsock-rebuild-") as folder, _without_tracking_server():
        scratch = Workspace(Path(folder))
        _copy_choices(workspace, scratch, artifact.provenance)
        for name in stages:
            logger.info("rebuild of %s: %s", artifact.version, name)
            with _parameters_blamed():
                run_stage(name, scratch.root)
            if name == "ingest":
                _refuse(_data_mismatches(artifact.provenance.data_sha256, data_identity(scratch)))
        return Rebuilt(digest, _differences(scratch.candidate, store / digest, artifact), _versions(artifact))


def _refuse(mismatches: list[str]) -> None:
    if mismatches:
        raise NotReproducible("\n".join(mismatches))


def _code_mismatches(workspace: Workspace, made: Provenance) -> list[str]:
    if made.git.commit is None or made.git.dirty:
        got = "no commit" if made.git.commit is None else f"changes beside {made.git.commit[:_SHORT]}"
        return [
            f"the code of {made.digest[:_SHORT]} must be that of a commit, got {got}, so nobody knows it any more; "
            "commit, run `dvc repro --force --single-item package` and release it anew"
        ]
    here, found = git_identity(workspace), []
    if here.commit != made.git.commit:
        found.append(
            f"`HEAD` must be {made.git.commit}, the commit that made {made.digest[:_SHORT]}, got {here.commit}; "
            f"run `git checkout {made.git.commit}` in a clone, and there this command with --store and --public-key"
        )
    if here.dirty:
        found.append("the code must be that of its commit, got changes; commit them or put them away (`git stash`)")
    return found


def _data_mismatches(made: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    return [
        f"the source file `{name}` must have sha256 {made.get(name, 'of none')}, got {here.get(name, 'no such file')}; "
        "install the data that the model was trained on"
        for name in sorted(made.keys() | here.keys())
        if made.get(name) != here.get(name)
    ]


def _copy_choices(workspace: Workspace, scratch: Workspace, made: Provenance) -> None:
    """The recorded parameters, and the thresholds of the commit."""
    write_atomic(scratch.params, yaml.safe_dump(made.parameters, sort_keys=False).encode())
    if workspace.objectives.is_file():
        write_atomic(scratch.objectives, workspace.objectives.read_bytes())


@contextmanager
def _parameters_blamed() -> Iterator[None]:
    try:
        yield
    except ParameterError as error:
        raise NotReproducible(f"the recorded parameters must be valid for this code, got: {error}") from error


@contextmanager
def _without_tracking_server() -> Iterator[None]:
    """A rebuild is no training that anybody asked for: MLflow is told of it in the scratch folder only."""
    server = os.environ.pop("MLFLOW_TRACKING_URI", None)
    try:
        yield
    finally:
        if server is not None:
            os.environ["MLFLOW_TRACKING_URI"] = server


def _differences(made: Path, stored: Path, artifact: Artifact) -> list[str]:
    found = []
    for name in CONTENT:
        content = (made / name).read_bytes()
        if content == (stored / name).read_bytes():
            continue
        members = _members(content, artifact.manifest) if name == MANIFEST else []
        found.append(f"{name} ({', '.join(members)})" if members else name)
    return found


def _members(manifest: bytes, stored: Manifest) -> list[str]:
    """Names of what a manifest has otherwise."""
    made = msgspec.json.decode(manifest, type=Manifest)
    return [name for name in Manifest.__struct_fields__ if getattr(made, name) != getattr(stored, name)]


def _versions(artifact: Artifact) -> list[str]:
    return [
        f"{name} {here} (was {was})"
        for name, was in artifact.provenance.versions.items()
        if (here := _installed(name)) != was
    ]


def _installed(name: str) -> str:
    try:
        return python_version() if name == "python" else version(name)
    except PackageNotFoundError:
        return "not installed"
