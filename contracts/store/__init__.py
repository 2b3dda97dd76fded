"""The store of released models: `<store>/<digest>/`, and `<store>/champion`, which names the one to start with."""

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from contracts.artifact import FILES, Artifact, verify
from contracts.errors import ArtifactInvalid, DataError
from contracts.store.state import Desired, State

CHAMPION: Final = "champion"
_DIGEST: Final = re.compile("[0-9a-f]{64}")  # sha256


def load_champion(store: Path, public_key: Path) -> Artifact:
    """Load the model that the pointer names, and verify it.

    Raises:
        ArtifactInvalid: no champion, or one that does not verify.
    """
    digest = read_pointer(store)
    return verify(store / digest, public_key, digest)


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a model, name -> content, into a folder; what else is among them is left out."""
    for name in FILES:
        if name in files:
            (folder / name).write_bytes(files[name])


def verify_files(files: Mapping[str, bytes], public_key: Path, digest: str) -> Artifact:
    """Verify a model that is in no folder, as `verify` does. `files`: name -> content.

    Raises:
        ArtifactInvalid: it does not verify.
    """
    with TemporaryDirectory(prefix="windsock-") as name:
        folder = Path(name, digest)
        folder.mkdir()
        write_files(files, folder)
        return verify(folder, public_key, digest)


def read_pointer(store: Path) -> str:
    """Return the champion's digest.

    Raises:
        ArtifactInvalid: no pointer, or one that holds no digest.
    """
    pointer = store / CHAMPION
    try:
        digest = pointer.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactInvalid(
            f"`{pointer}` must name the released model, got: {error}; run `dvc repro` and `windsock release`"
        ) from error
    if not _DIGEST.fullmatch(digest):
        raise ArtifactInvalid(
            f"`{pointer}` must hold a sha256 digest, got {digest[:80]!r}; run `windsock release` to write it again"
        )
    return digest


def digests(store: Path) -> list[str]:
    """Digests of all models in the store, sorted."""
    return sorted(path.name for path in store.glob("*") if _DIGEST.fullmatch(path.name) and path.is_dir())


def wanted(store: Path, state: State) -> Desired:
    """Which models shall have which role: what the database says for this pointer, or the pointer's champion alone.

    Raises:
        ArtifactInvalid: no pointer, or one that holds no digest.
    """
    pointer = read_pointer(store)
    try:
        desired = state.read_desired()
    except DataError:  # a damaged file: the companion writes it again
        desired = None
    if desired is None or desired.base != pointer:
        return Desired(champion=pointer, base=pointer)
    return desired


def find_model(digest: str, store: Path, state: State) -> Path:
    """Folder of a model: the store's, or what came out of the database. It may be missing."""
    kept = store / digest
    return kept if kept.is_dir() else state.models / digest
