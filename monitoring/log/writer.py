"""The writer of the prediction log: moves the spool's records to the database, off the path of any request."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa

from monitoring.log.spool import PredictionRecord, Record, Segment, Spool
from monitoring.log.tables import create_tables, insert
from monitoring.metrics.declared import Metrics

logger = logging.getLogger(__name__)

CHUNK_BYTES: Final = 128 * 2**10  # read and inserted at once: about 200 single rows
IDLE_SECONDS: Final = 0.2  # between looks at a spool without news
BACK_OFF_SECONDS: Final = (0.1, 5.0)  # first and longest wait for a database that is unreachable
FLUSH_PAUSE_SECONDS: Final = 0.5  # longest wait once the service ends
LAST_TRY_SECONDS: Final = 1.0  # for a chunk that is being inserted when the time of `stop` is over

_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class Writer:
    """Moves the spool to the database on a thread of its own, until `stop`."""

    def __init__(self, spool: Spool, engine: sa.Engine, metrics: Metrics) -> None:
        self._spool = spool
        self._engine = engine
        self._stopping = threading.Event()  # set: move what is left, then end
        self._over = threading.Event()  # set: end at once
        self._adopted_rows = 0
        self._moved_rows = 0
        self._wait = BACK_OFF_SECONDS[0]
        self._has_tables = False
        self._metrics = metrics
        metrics.on_refresh.append(self._refresh)
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Move what is left and end. An unreachable database is tried for so long; its rows stay in the spool."""
        self._spool.close_active()
        self._stopping.set()
        self._thread.join(seconds)
        self._over.set()
        self._thread.join(LAST_TRY_SECONDS)
        if left := self.unmoved_rows():
            logger.warning("%d rows are not in the database; they stay in the spool, the next start moves them", left)
        if not self._thread.is_alive():  # a thread that still runs hangs in the database; it ends with the process
            self._spool.release()
            self._engine.dispose()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def is_waiting(self) -> bool:
        """Whether the last try found no database."""
        return self._wait > BACK_OFF_SECONDS[0]

    def unmoved_rows(self) -> int:
        return self._spool.appended_rows + self._adopted_rows - self._moved_rows

    def oldest_seconds(self) -> float:
        """Age of the oldest row that is not yet in the database, 0 when there is none."""
        oldest = self._spool.oldest()
        return 0.0 if oldest is None else max((datetime.now(UTC).replace(tzinfo=None) - oldest).total_seconds(), 0.0)

    def _refresh(self) -> None:
        self._metrics.unmoved_rows.set(self.unmoved_rows())
        self._metrics.oldest.set(self.oldest_seconds())

    def _run(self) -> None:
        self._adopted_rows = sum(_rows(chunk) for s in self._spool.adopted for chunk, _ in _chunks(s))
        while not self._over.is_set():
            stopping = self._stopping.is_set()
            pause = self._try()
            if not stopping:
                self._stopping.wait(pause)
            elif self.unmoved_rows():
                self._over.wait(min(pause, FLUSH_PAUSE_SECONDS))
            else:
                return

    def _try(self) -> float:
        """Move what there is. Returns the seconds until the next try."""
        first, longest = BACK_OFF_SECONDS
        try:
            self._move_all()
        except Exception as error:  # noqa: BLE001 - whatever it is, a writer that ends would move nothing any more
            if not self.is_waiting():
                logger.warning("the prediction log is unreachable, rows wait in the spool: %s", error)
            pause, self._wait = self._wait, min(2 * self._wait, longest)
            self._metrics.database_up.set(0)
            return pause
        if self.is_waiting():
            logger.info("the prediction log takes writes again")
        self._wait = first
        self._metrics.database_up.set(1)
        return IDLE_SECONDS

    def _move_all(self) -> None:
        if not self._has_tables:  # a database that was unreachable at the start may be empty
            create_tables(self._engine)
            self._has_tables = True
        for segment in self._spool.segments():
            closed = segment.closed  # read first: a segment that closes meanwhile may have grown behind our last look
            for chunk, end in _chunks(segment):
                if self._over.is_set():
                    return
                insert(self._engine, chunk)
                segment.offset = end
                self._moved_rows += _rows(chunk)
                self._metrics.moved_rows.inc(_rows(chunk))
            if closed:
                self._spool.drop(segment)


def _chunks(segment: Segment) -> Iterator[tuple[list[Record], int]]:
    """Whole records from the segment's offset on, and the offset behind them.

    Nothing behind `size` is looked at: a record that is being appended may be there in part. A last line without an
    end was torn by a kill: it was never acknowledged, and is left out.
    """
    size = segment.size
    with segment.path.open("rb") as file:
        file.seek(segment.offset)
        while (left := size - file.tell()) > 0:
            content = file.read(min(CHUNK_BYTES, left))
            content += file.readline(left - len(content)) if not content.endswith(b"\n") else b""
            *lines, torn = content.split(b"\n")
            if lines:
                yield [record for line in lines if (record := _decode(line, segment.path))], file.tell() - len(torn)
            if torn:
                return


def _decode(line: bytes, path: Path) -> Record | None:
    try:
        return _decoder.decode(line)
    except msgspec.MsgspecError as error:  # a damaged disk: one line must not hold up all that follow
        logger.error("spool: a line of %s is damaged and skipped (%s): %r", path.name, error, line[:200])
        return None


def _rows(records: list[Record]) -> int:
    return sum(len(record.score) if isinstance(record, PredictionRecord) else 1 for record in records)
