"""The store's write side: copies of verified models under their digests, the champion's pointer, the list of both.

`contracts/store.py` reads it.
"""

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.artifact import FILES, Artifact, verify
from contracts.errors import ArtifactInvalid, ParameterError
from contracts.files import whole_folder, write_atomic
from contracts.store import CHAMPION, digests, read_pointer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """A model of the store.

    Attributes:
        artifact: None when it does not verify; `damage` says why.
        champion: whether the pointer names it.
    """

    digest: str
    champion: bool
    artifact: Artifact | None
    damage: str | None = None


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the store's advisory lock; the kernel frees it when the process ends, however it ends."""
    store.mkdir(parents=True, exist_ok=True)
    with (store / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def keep(source: Path, store: Path, public_key: Path, digest: str) -> Artifact:
    """Copy an artifact to `store/<digest>`, unless a good copy is there, and return the copy, verified.

    A good copy stays, with the envelope that it has: pods and MLflow hold copies of it by then, and a folder named by a
    digest never changes.

    Raises:
        ArtifactInvalid: `source` does not verify; the store is as it was.
    """
    stored = store / digest
    if stored.is_dir():
        try:
            return verify(stored, public_key, digest)
        except ArtifactInvalid:
            logger.info("%s was damaged: replaced", stored)
    with whole_folder(stored) as new:
        for name in FILES:
            shutil.copyfile(source / name, new / name)
        return verify(new, public_key, digest)  # the copy is what counts: nobody changes it any more


def point(store: Path, digest: str) -> None:
    """Make a stored model the champion."""
    write_atomic(store / CHAMPION, digest.encode())


def find(store: Path, beginning: str) -> str:
    """Return the digest of the one model whose digest begins like this.

    Raises:
        ParameterError: there is none, or several.
    """
    known = digests(store)
    found = [digest for digest in known if digest.startswith(beginning)]
    if len(found) != 1:
        names = ", ".join(digest[:12] for digest in known) or "none"
        raise ParameterError(
            f"`digest` must begin the name of one model in `{store}`, got {beginning!r}; there are: {names}"
        )
    return found[0]


def list_models(store: Path, public_key: Path) -> list[Stored]:
    """All models of the store, the newest first; those that do not verify come last."""
    champion = read_pointer(store) if (store / CHAMPION).is_file() else None
    found = []
    for digest in digests(store):
        try:
            artifact = verify(store / digest, public_key, digest)
        except ArtifactInvalid as error:
            found.append(Stored(digest, digest == champion, None, str(error)))
        else:
            found.append(Stored(digest, digest == champion, artifact))
    return sorted(found, key=_age, reverse=True)


def _age(model: Stored) -> str:
    return "" if model.artifact is None else model.artifact.provenance.created_at
