"""The spool: files that hold what was answered until the database has it.

A record is one line of JSON, appended by a single write before its answer leaves. A plain write survives the death
of the process (not a power loss, which it need not). Each process appends to a segment of its own and holds it with
`flock`; whoever starts later adopts the segments that nobody holds.

    state/spool/<start, ns>-<pid>-<number>.jsonl
"""

import fcntl
import itertools
import logging
import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

logger = logging.getLogger(__name__)

SEGMENT_BYTES: Final = 16 * 2**20  # a segment that is longer is closed, so that it can be deleted once it is moved
SUFFIX: Final = ".jsonl"


class PredictionRecord(msgspec.Struct, tag="prediction"):
    """One answered request with all its rows, features in the schema's order. Instants are UTC without a zone."""

    request_id: str
    digest: str
    protocol: str
    event_time: datetime
    received_at: datetime
    duration_us: int
    numeric: list[list[float | None]]
    category: list[list[str]]
    score: list[float]


class LabelRecord(msgspec.Struct, tag="label"):
    """What became of one predicted row. `value`: whether it was the positive outcome; `outcome_at` None: not told."""

    request_id: str
    row: int
    value: bool
    outcome_at: datetime | None
    received_at: datetime


class _Moment(msgspec.Struct):
    """What every record has."""

    received_at: datetime


Record = PredictionRecord | LabelRecord
_encoder = msgspec.json.Encoder()
_decode_moment = msgspec.json.Decoder(_Moment).decode


@dataclass(slots=True)
class Segment:
    """One file of the spool, held by this process. `offset` is how far it has been moved; `closed`: nobody appends."""

    path: Path
    descriptor: int
    offset: int = 0
    size: int = 0
    closed: bool = False

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


class Spool:
    """The appending end. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        folder.mkdir(parents=True, exist_ok=True)
        self.adopted = self._adopt()
        self._active = self._open()
        self._closed: list[Segment] = []
        self.appended_rows = 0

    def append(self, records: list[Record], rows: int) -> None:
        """Write records in one piece.

        Raises:
            OSError: the disk is full or gone; nothing of the records stays.
        """
        lines = _encoder.encode_lines(records)
        with self._lock:
            if self._active.size > SEGMENT_BYTES:
                self._rotate()
            segment = self._active
            try:
                written = os.write(segment.descriptor, lines)
                if written != len(lines):
                    raise OSError(f"{segment.path} took {written} of {len(lines)} bytes")
            except OSError:
                # A torn line in the middle would swallow the next one.
                os.ftruncate(segment.descriptor, segment.size)
                raise
            segment.size += written
            self.appended_rows += rows

    def segments(self) -> list[Segment]:
        """Closed segments in the order in which they were written, then the one that grows."""
        with self._lock:
            return [*self.adopted, *self._closed, self._active]

    def oldest(self) -> datetime | None:
        """When the oldest record that is not yet moved was received (UTC without a zone). None: all are moved."""
        for segment in self.segments():
            if segment.offset == segment.size:
                continue
            try:
                with segment.path.open("rb") as file:
                    file.seek(segment.offset)
                    return _decode_moment(file.readline()).received_at
            except (OSError, msgspec.MsgspecError):  # moved and deleted meanwhile, or damaged: the writer will skip it
                continue
        return None

    def drop(self, segment: Segment) -> None:
        """Delete a closed segment that the database has in full."""
        with self._lock:
            (self.adopted if segment in self.adopted else self._closed).remove(segment)
            segment.delete()

    def close_active(self) -> None:
        """After the last append: what is open becomes deletable, and a new segment is made only if needed."""
        with self._lock:
            self._rotate()

    def release(self) -> None:
        """Let go of every segment. What is not moved stays for the next start; what is empty goes."""
        for segment in self.segments():
            if segment.offset == segment.size:
                segment.delete()
            else:
                os.close(segment.descriptor)

    def _rotate(self) -> None:
        self._active.closed = True
        self._closed.append(self._active)
        self._active = self._open()

    def _open(self) -> Segment:
        name = f"{time.time_ns()}-{os.getpid()}-{next(self._numbers)}"
        hidden, path = self._folder / f".{name}", self._folder / f"{name}{SUFFIX}"
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        hidden.rename(path)  # others see the segment only now, when it is held
        return Segment(path, descriptor)

    def _adopt(self) -> list[Segment]:
        adopted = []
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            descriptor = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            if not path.exists():  # its holder deleted the segment between our open and our lock
                os.close(descriptor)
                continue
            adopted.append(Segment(path, descriptor, size=os.fstat(descriptor).st_size, closed=True))
        if adopted:
            logger.info("spool: adopted %d segments of an earlier run", len(adopted))
        return adopted
