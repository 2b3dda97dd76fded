"""Moves the spool's frames to the database, in batches, and deletes the segments that are there in full.

A batch is one transaction. What is damaged, and what the database refuses while it takes the rest, is put aside in the
spool's folder `bad`, and holds up nothing.
"""

import logging
import threading
import time
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from contracts.errors import DataError
from monitoring.log.database import open_log
from monitoring.log.insert import Record, insert
from monitoring.spool.backlog import Backlog, Waiting
from monitoring.spool.frames import Frame, record
from monitoring.spool.segments import Chunk, Segment, delete, keep, list_segments, quarantine, read
from services.companion.offsets import Offsets

logger = logging.getLogger(__name__)
ASK_SECONDS: Final = 5.0  # without a row to move, after which the database is asked whether it is there


class Mover:
    """Moves a spool to a database. One thread moves; another one may ask how much waits.

    Attributes:
        moved_rows: since the start.
        damaged: frames that were put aside since the start.
    """

    def __init__(self, engine: sa.Engine, spool: Path, offsets: Offsets) -> None:
        self._engine, self._spool, self._offsets = engine, spool, offsets
        self._has_tables = False  # a database that was away at the start may have none
        self._backlog = Backlog()
        self._looking = threading.Lock()
        self._answered = 0.0  # `monotonic` when the database did last
        self.moved_rows = 0
        self.damaged = 0

    def waiting(self) -> Waiting:
        """How much is not in the database yet."""
        with self._looking:
            return self._backlog.look(list_segments(self._spool), self._offsets.values)

    def step(self) -> bool:
        """Move one batch of the oldest segment that nobody appends to, or of each that grows. Returns whether there may
        be more.

        One segment after the other: only a segment that is there in full is deleted, and gives the spool room.

        Raises:
            Unavailable, sqlalchemy.exc.SQLAlchemyError: the database is away. What was moved before is noted.
            DataError: the database has tables of another version.
            OSError: a segment cannot be read or deleted.
        """
        if not self._has_tables:
            open_log(self._engine.url.render_as_string(hide_password=False)).dispose()
            self._has_tables = True
        segments = list_segments(self._spool)
        faults: list[OSError] = []
        more = any(self._attempt(segment, faults) for segment in segments if not segment.held)  # up to the first
        if not more:
            grown = [self._attempt(segment, faults) for segment in segments if segment.held]  # each of them
            more = any(grown)
        self._offsets.keep({segment.name for segment in segments})
        if faults and not more:
            raise faults[0]
        if not more:
            self._ask()
        return more

    def _ask(self) -> None:
        """Ask the database that nobody writes to: one that dies at night is away then, and not in the morning.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: it does not answer.
        """
        if time.monotonic() - self._answered > ASK_SECONDS:
            with self._engine.connect() as connection:
                connection.execute(sa.select(1))
            self._answered = time.monotonic()

    def _attempt(self, segment: Segment, faults: list[OSError]) -> bool:
        """Move a batch, or delete what is there in full. One that cannot be read or deleted holds up no other one."""
        try:
            return self._move(segment) or not segment.held
        except OSError as error:
            faults.append(error)
            return False

    def _move(self, segment: Segment) -> bool:
        offset = self._offsets.values.get(segment.name, 0)
        chunk = read(segment, offset) if offset < segment.size else None
        if chunk is not None and chunk.end > offset:
            self._take(segment, offset, chunk)
            return True
        if not segment.held:  # read to its end: what is left of it was torn by a kill, and never acknowledged
            delete(segment)
        return False

    def _take(self, segment: Segment, offset: int, chunk: Chunk) -> None:
        bad: list[tuple[Frame, str]] = []
        records: list[Record] = []
        frames: list[Frame] = []
        for found in chunk.frames:
            try:
                one = record(found)
            except DataError as error:
                bad.append((found, str(error)))
                continue
            if one is not None:
                records.append(one)
                frames.append(found)
        bad += [(frames[refused.index], refused.why) for refused in insert(self._engine, records)]
        for damage in chunk.damaged:
            quarantine(segment, damage)
        for found, why in bad:
            name = f"{segment.path.stem}-{offset + found.end}.refused"
            logger.error("a record of %d rows cannot be moved and is kept as %s: %s", found.rows, name, why)
            keep(self._spool, name, found.payload)
        self._answered = time.monotonic()
        self._offsets.note(segment.name, chunk.end)
        self.damaged += len(chunk.damaged) + len(bad)
        self.moved_rows += chunk.rows - sum(found.rows for found, _ in bad)
