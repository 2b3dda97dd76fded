"""The segment that a process appends to."""

import fcntl
import itertools
import logging
import os
import time
from pathlib import Path
from typing import Final

from contracts.files import sync_folder
from monitoring.spool.segments import SUFFIX

logger = logging.getLogger(__name__)

_numbers: Final = itertools.count()


class ActiveSegment:
    """A new segment, held by this process until `close`. Not thread-safe.

    Attributes:
        size: bytes that were written whole.
        synced: bytes of them that are known to survive a power loss.

    Raises:
        OSError: it cannot be made; nothing of it stays.
    """

    __slots__ = ("descriptor", "path", "size", "synced")

    def __init__(self, folder: Path, *, durable: bool) -> None:
        """`durable`: the file's name is to survive a power loss, too."""
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns()}-{os.getpid()}-{next(_numbers)}"
        hidden = folder / f".{name}"
        self.path = folder / f"{name}{SUFFIX}"
        self.size = self.synced = 0
        self.descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
            hidden.rename(self.path)  # others see the segment only now, when it is held
            if durable:
                sync_folder(folder)
        except OSError:
            os.close(self.descriptor)
            hidden.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
            raise

    def is_deleted(self) -> bool:
        """Whether somebody deleted it under us: what is appended to it reaches nobody."""
        return os.fstat(self.descriptor).st_nlink == 0

    def cut(self) -> None:
        """Take away what was not written whole. Nothing may be appended afterwards: a reader may have seen it.

        Raises:
            OSError: the file system refuses. Then it is the torn end of the segment, which readers leave out.
        """
        os.ftruncate(self.descriptor, self.size)

    def close(self) -> None:
        """Let go of it. What is in it stays; an empty one is deleted. A failure is told in the log."""
        try:
            if self.size == 0:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("spool: empty %s stays: %s", self.path.name, error)
        try:
            os.close(self.descriptor)
        except OSError as error:
            logger.error("spool: %s was closed with an error: %s", self.path.name, error)
