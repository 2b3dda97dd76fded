"""The spool's appending end: what was answered, in local files, until the database has it.

A frame is appended by a single write before its answer leaves. A plain write survives the death of the process;
what a power loss takes is a choice (`Fsync`), and what each costs is measured (`benchmarks.spool`). Each process
appends to a segment of its own; whoever reads (`monitoring.spool.segments`) needs nothing of this process.
"""

import errno
import logging
import os
import threading
import time
from pathlib import Path
from typing import Final, Literal

from monitoring.spool.active import ActiveSegment
from monitoring.spool.frames import NOTHING, frame
from monitoring.spool.segments import remove_leftovers, used_bytes
from monitoring.spool.volume import is_full, reason_of, why_not

logger = logging.getLogger(__name__)

Fsync = Literal["off", "interval", "each"]

SEGMENT_BYTES: Final = 16 * 2**20  # a longer one is closed, so that it can be deleted once it is moved
SCAN_SECONDS: Final = 0.25  # between looks at what other processes appended and readers deleted
RETRY_SECONDS: Final = 0.25  # between tries to make a segment
STALL_SECONDS: Final = 1.0  # a write that takes longer stalls


class SpoolFull(OSError):
    """The spool may not grow: its rows come faster than they are moved. The volume works."""

    def __str__(self) -> str:
        return str(self.strerror)  # without the number, which says nothing to who reads it


class Spool:
    """Appends frames to a segment of this process. Thread-safe.

    Attributes:
        failing: why the volume takes no writes, as of the last failed one or the last `check`; None: it does.
        appended_rows: rows that were appended since the start.

    Raises:
        OSError: the folder cannot be made or written. A full volume is none: the spool starts `failing`.
    """

    def __init__(self, folder: Path, limit: int, fsync: Fsync = "off") -> None:
        """
        Args:
            limit: bytes that all segments of the folder may have together. Other processes' are looked at each
                0.25 s, so several may exceed it by what they append meanwhile.
            fsync: what a power loss may take. "off": what the kernel has not written, about 30 s; "interval": what
                came since the last `check`; "each": nothing that was acknowledged.
        """
        self._folder = folder
        self._limit = limit
        self._fsync: Fsync = fsync
        self._lock = threading.Lock()
        self._active: ActiveSegment | None = None
        self._retired: list[ActiveSegment] = []  # closed for appends, to be synced by `check`
        self._used = 0  # bytes of all segments
        self._scan_at = 0.0
        self._renew_at = 0.0
        self._needed = 0  # bytes that the last failed write did not find
        self._errno = 0  # of the last error
        self._is_closed = False
        self.failing: str | None = None
        self.appended_rows = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)
            self._renew(time.monotonic())
        except OSError as error:
            if not is_full(error):
                raise

    def append(self, data: bytes, rows: int) -> None:
        """Write whole frames in one piece; when it returns, they survive the death of this process.

        Args:
            rows: of all the frames.

        Raises:
            SpoolFull: the spool has its limit.
            OSError: the volume is full, gone or read-only. Nothing of the frames stays.
        """
        with self._lock:
            now = time.monotonic()
            if now >= self._scan_at:
                self._scan(now)
            if self._used + len(data) > self._limit:
                raise SpoolFull(errno.EDQUOT, f"spool must stay under {self._limit} bytes, has {self._used}")
            self._write(data, now)
            self.appended_rows += rows

    def check_room(self) -> None:
        """Refuse before the work is done: a request that cannot be written need not be answered.

        Raises:
            SpoolFull: of its limit less than a thousandth is left.
        """
        if self._used + (self._limit >> 10) < self._limit:
            return
        with self._lock:
            now = time.monotonic()
            if now >= self._scan_at:
                self._scan(now)
            if self._used + (self._limit >> 10) >= self._limit:
                raise SpoolFull(errno.EDQUOT, f"spool must stay under {self._limit} bytes, has {self._used}")

    def check(self) -> None:
        """Look at the volume without a request: to be called each 0.5 s, not on an event loop.

        Notices a full or read-only volume, a write that stalls and segments that somebody deleted; once it failed,
        tries with a frame of nothing until it works again. Syncs, if it is by interval.
        """
        before = self.appended_rows
        if not self._lock.acquire(timeout=STALL_SECONDS):
            if self.appended_rows == before:  # not only one write after the other
                self._fail(f"a write to it has taken over {STALL_SECONDS:g} s")
            return
        try:
            if self._is_closed:
                return
            self._drop_deleted()
            reason = why_not(self._folder, self._needed)
            if reason is not None:
                self._fail(reason)
            elif self.failing is not None:
                self._try()
        finally:
            self._lock.release()
        if self._fsync == "interval":
            self._sync()

    def size(self) -> int:
        """Bytes of all segments in the folder, other processes' included."""
        return used_bytes(self._folder)

    def close(self) -> None:
        """Let go of the segment; what is in it stays for the reader. Every later `append` raises OSError."""
        if self._fsync == "interval":
            self._sync()
        with self._lock:
            self._is_closed = True
            for segment in [*self._retired, *([self._active] if self._active else [])]:
                segment.close()
            self._retired, self._active = [], None

    def _write(self, data: bytes, now: float) -> None:
        """One write to the active segment, or to a new one if that is long or was cut."""
        active = self._active
        if active is None or active.size >= SEGMENT_BYTES:
            active = self._renew(now)
        try:
            written = os.write(active.descriptor, data)
        except OSError as error:  # nothing was written
            self._failed(error, len(data))
            raise
        try:
            if written != len(data):
                raise OSError(errno.ENOSPC, f"the volume took {written} of {len(data)} bytes", str(active.path))
            if self._fsync == "each":
                os.fdatasync(active.descriptor)
        except OSError as error:
            self._failed(error, len(data))
            self._cut(active)
            raise
        active.size += written
        self._used += written

    def _renew(self, now: float) -> ActiveSegment:
        """A new active segment; the long one goes on if none can be made.

        Raises:
            OSError: none can be made, and there is no long one.
        """
        old = self._active
        if self._is_closed:
            raise OSError(errno.EBADF, "spool must be open to append, got one that was closed")
        if now < self._renew_at:
            if old is not None:
                return old
            raise OSError(self._errno, self.failing)
        self._renew_at = now + RETRY_SECONDS
        try:
            self._active = ActiveSegment(self._folder, durable=self._fsync != "off")
        except OSError as error:
            if old is None:
                self._failed(error)
                raise
            logger.warning("spool: no new segment could be made, %s grows on: %s", old.path.name, error)
            return old
        self._renew_at = 0.0
        if old is not None and self._fsync == "interval":
            self._retired.append(old)
        elif old is not None:
            old.close()  # only now, when the new one is in use
        return self._active

    def _cut(self, active: ActiveSegment) -> None:
        """Take back what was not written whole, and append no more to a segment that a reader may have seen longer."""
        self._active = None
        self._renew_at = time.monotonic() + RETRY_SECONDS  # a full volume must not fill with segments
        try:
            active.cut()
        except OSError as error:
            logger.error("spool: %s keeps a torn end, which readers leave out: %s", active.path.name, error)
        if self._fsync == "interval":
            self._retired.append(active)
        else:
            active.close()

    def _drop_deleted(self) -> None:
        if self._active is not None and self._active.is_deleted():
            logger.error("spool: somebody deleted %s with %d bytes", self._active.path.name, self._active.size)
            self._active.close()
            self._active = None
            self._fail("its segment was deleted")

    def _try(self) -> None:
        try:
            self._write(frame(NOTHING, 0, time.time_ns() // 1000, b""), time.monotonic())
        except OSError:  # `failing` says why
            return
        self._needed, self.failing = 0, None
        logger.info("spool: takes writes again")

    def _sync(self) -> None:
        """Wait for the disk outside the lock: requests append meanwhile."""
        with self._lock:
            active = self._active
            size = active.size if active else 0
            try:
                # A copy: the segment may be closed meanwhile, and its number be another file's.
                copy = os.dup(active.descriptor) if active and size > active.synced else None
            except OSError as error:  # no descriptor is free: the next check syncs
                logger.warning("spool: could not be synced: %s", error)
                return
            retired, self._retired = self._retired, []
        for segment in retired:
            self._force(segment.descriptor)
            segment.close()
        if active and copy is not None:
            if self._force(copy):
                active.synced = size
            os.close(copy)

    def _force(self, descriptor: int) -> bool:
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            self._failed(error)
            return False
        return True

    def _scan(self, now: float) -> None:
        self._scan_at = now + SCAN_SECONDS
        try:
            self._used = used_bytes(self._folder)
        except OSError as error:
            logger.debug("spool: could not be measured: %s", error)

    def _failed(self, error: OSError, needed: int = 0) -> None:
        """After a write that found no room for `needed` bytes, or another error of the volume."""
        self._errno = error.errno or errno.EIO
        self._needed = max(self._needed, needed)
        self._fail(reason_of(error))

    def _fail(self, reason: str) -> None:
        if self.failing is None:
            logger.error("spool: takes no writes: %s", reason)
        self.failing = reason
