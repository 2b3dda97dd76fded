"""Brings desired roles, and the models that they name, from the database into local files.

The files of a model come first, and `desired.json`, by which a worker asks for them, last: what a worker is asked to
load is there, unless the database has it not or it does not verify. Then the worker finds none, and says so.
"""

import logging
import shutil
import time
from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa

from contracts.artifact import verify
from contracts.errors import ArtifactInvalid, DataError
from contracts.files import whole_folder
from contracts.store import find_model, read_pointer, write_files
from contracts.store.state import Desired, State
from monitoring.log.desired import get_artifact, history

logger = logging.getLogger(__name__)

KEPT_ROWS: Final = 5  # newest rows whose models stay at hand, so that going back waits for no download
RETRY_SECONDS: Final = 5.0  # before a model that could not be had is looked for again


class Following:
    """Follows the table `roles`, for the pointer of one store."""

    def __init__(self, engine: sa.Engine, store: Path, public_key: Path, state: State) -> None:
        self._engine, self._store, self._public_key, self._state = engine, store, public_key, state
        self._refused = 0  # sequence of the newest row that says what cannot be
        self._missed: dict[str, float] = {}  # digest -> when it could not be had, seconds of the monotonic clock

    def step(self) -> bool:
        """Look at the newest rows. Returns False: there is never more to do at once.

        Raises:
            ArtifactInvalid: the store has no pointer.
            Unavailable: the database is away; the files are as they were.
            OSError: the disk is full or gone; `desired.json` is as it was.
        """
        pointer = read_pointer(self._store)
        rows = [change.desired for change in history(self._engine, pointer, KEPT_ROWS)]
        known = self._known()
        if rows:
            for digest in rows[0].digests().values():
                self._fetch(digest)
            if rows[0] != known and self._is_valid(rows[0]):
                self._state.write(self._state.desired, rows[0])
                logger.info("roles: row %d, champion %s", rows[0].sequence, rows[0].champion[:12])
        elif known is not None and known.base == pointer:
            # The database says nothing for this pointer any more, so the pointer alone counts.
            self._state.desired.unlink(missing_ok=True)
        # A file for another pointer counts again when the store goes back to it, so its models stay.
        named = [*rows, *([known] if known is not None and known.base != pointer else [])]
        self._remove_but({digest for row in named for digest in row.digests().values()})
        return False

    def _known(self) -> Desired | None:
        try:
            return self._state.read_desired()
        except DataError as error:
            logger.warning("%s; it is written again", error)
            return None

    def _is_valid(self, desired: Desired) -> bool:
        """Whether a row says what roles can be; `windsock models` writes no other. One that is not changes nothing."""
        if desired.sequence == self._refused:
            return False
        try:
            msgspec.convert(msgspec.to_builtins(desired), Desired)
        except msgspec.ValidationError as error:
            self._refused = desired.sequence
            logger.error("roles: row %d is refused: %s; say it with `windsock models`", desired.sequence, error)
            return False
        return True

    def _fetch(self, digest: str) -> None:
        """Bring a model that is not at hand. One that cannot be had is told in the log, and tried again later."""
        now = time.monotonic()
        if find_model(digest, self._store, self._state).is_dir():
            return
        if now - self._missed.get(digest, -RETRY_SECONDS) < RETRY_SECONDS:
            return
        files = get_artifact(self._engine, digest)
        try:
            if not files:
                raise ArtifactInvalid("the database has no such model; run `windsock models set` with it again")
            with whole_folder(self._state.models / digest) as new:
                write_files(files, new)
                verify(new, self._public_key, digest)
        except ArtifactInvalid as error:
            if digest not in self._missed:
                logger.error("roles: model %s cannot be had: %s", digest[:12], error)
            self._missed[digest] = now
            return
        self._missed.pop(digest, None)
        logger.info("roles: model %s came out of the database", digest[:12])

    def _remove_but(self, wanted: set[str]) -> None:
        for folder in self._state.models.glob("[!.]*"):
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)
                logger.info("roles: model %s is wanted no longer, removed", folder.name[:12])
