"""Where roles are said and models are found: a store, and the database of the prediction log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from contracts.artifact import FILES, Artifact, verify
from contracts.errors import ArtifactInvalid, ParameterError
from contracts.settings import MonitorSettings
from contracts.store import digests, read_pointer, verify_files
from contracts.store.state import Desired
from monitoring.log.database import connect, open_log
from monitoring.log.desired import Replica, artifact_digests, get_artifact, newest_desired, put_artifact, replicas

LIVE_SECONDS: Final = 10.0  # a replica reports each second
SHOWN_SECONDS: Final = 300.0  # one that has been silent for longer is history


@dataclass(frozen=True, slots=True)
class Place:
    """A store, the key of its models, and the database."""

    store: Path
    public_key: Path
    engine: sa.Engine

    def live(self) -> list[Replica]:
        """Replicas that reported just now.

        Raises:
            Unavailable, DataError: the database is away, or has other tables.
        """
        return replicas(self.engine, _ago_us(LIVE_SECONDS))

    def shown(self) -> list[Replica]:
        """Replicas that reported within the hour. Raises as `live`."""
        return replicas(self.engine, _ago_us(SHOWN_SECONDS))

    def base(self) -> str:
        """The pointer that roles are said for: that of the replicas, where there are any, or the store's.

        Raises:
            ParameterError: the replicas have several.
            ArtifactInvalid: there are no replicas, and the store has none.
            Unavailable, DataError: as `live`.
        """
        pointers = sorted({replica.state.pointer for replica in self.live()})
        if len(pointers) > 1:
            names = " and ".join(pointer[:12] for pointer in pointers)
            raise ParameterError(
                f"`pointer` must be the same for all replicas, got {names}: a rollout is under way; try again when it "
                "has ended"
            )
        return pointers[0] if pointers else read_pointer(self.store)

    def current(self) -> Desired:
        """What shall be now. Raises as `base`."""
        base = self.base()
        return newest_desired(self.engine, base) or Desired(champion=base, base=base)

    def find(self, beginning: str) -> str:
        """Digest of the one model, of the store or the database, whose digest begins like this.

        Raises:
            ParameterError: there is none, or several.
        """
        known = sorted({*digests(self.store), *artifact_digests(self.engine)})
        found = [digest for digest in known if digest.startswith(beginning)] if beginning else []
        if len(found) != 1:
            names = ", ".join(digest[:12] for digest in found or known) or "none"
            raise ParameterError(
                f"`digest` must begin the name of one model of `{self.store}` or the database, got {beginning!r}; "
                f"there are: {names}"
            )
        return found[0]

    def model(self, digest: str) -> Artifact:
        """A model, verified: the store's, or the database's where the store has none.

        Raises:
            ArtifactInvalid: it is in neither, or does not verify.
        """
        if (self.store / digest).is_dir():
            return verify(self.store / digest, self.public_key, digest)
        files = get_artifact(self.engine, digest)
        if files is None:
            raise ArtifactInvalid(f"`{digest[:12]}` must be in `{self.store}` or the database, got no such model")
        return verify_files(files, self.public_key, digest)

    def share(self, digest: str) -> None:
        """Put a model of the store into the database, for replicas that have no such store."""
        folder = self.store / digest
        if folder.is_dir():
            put_artifact(self.engine, digest, {name: (folder / name).read_bytes() for name in FILES})


@contextmanager
def opened_place(settings: MonitorSettings) -> Iterator[Place]:
    """For who changes roles: the tables are made where there are none.

    Raises:
        ParameterError, DataError, Unavailable: the database is not as it must be.
    """
    engine = open_log(settings.database)
    try:
        yield Place(settings.store, settings.public_key, engine)
    finally:
        engine.dispose()


@contextmanager
def looked_at(settings: MonitorSettings) -> Iterator[Place | None]:
    """For who looks: nothing is made. None: SQLite's file is not there."""
    address = sa.make_url(settings.database)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        yield None
        return
    engine = connect(settings.database)
    try:
        yield Place(settings.store, settings.public_key, engine)
    finally:
        engine.dispose()


def _ago_us(seconds: float) -> int:
    return int((time.time() - seconds) * 1e6)
