"""The spool's reading end: which segments there are, what stands in them, who still appends.

    state/spool/<start, ns>-<pid>-<number>.spool    a segment; its process holds it with `flock`
    state/spool/bad/<segment>-<offset>.frame        what was damaged, kept to be looked at

Whoever finds that nobody holds a segment may read it to its end and delete it: no process appends to a segment that
it did not make. Up to there its bytes, once written, stay as they are; only its end may be cut off, and then nothing
is appended to it any more.
"""

import contextlib
import fcntl
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.files import write_atomic
from monitoring.spool.frames import Damage, Frame, frames

logger = logging.getLogger(__name__)

SUFFIX: Final = ".spool"
BAD: Final = "bad"
CHUNK_BYTES: Final = 2**20  # read at once: about 4,000 single rows
LEFTOVER_SECONDS: Final = 60.0  # a hidden file lives for microseconds before it is renamed


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it was when it was looked at. `held`: its process lives and may append; `size` in bytes."""

    path: Path
    size: int
    held: bool

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a segment. `damaged`: offsets in the segment; `end`: offset to read on from."""

    frames: list[Frame]
    damaged: list[Damage]
    end: int

    @property
    def rows(self) -> int:
        return sum(found.rows for found in self.frames)


def list_segments(folder: Path) -> list[Segment]:
    """The segments of a spool, first started first. A folder that is not there has none.

    A file that must not be opened counts as held, so that it hides none of the others; `read` of it raises.
    """
    found = []
    for path in sorted(folder.glob(f"[!.]*{SUFFIX}")):
        try:
            held = is_held(path)  # before the size: what nobody holds any more grows no more
        except OSError:
            held = True
        with contextlib.suppress(OSError):  # deleted meanwhile
            found.append(Segment(path, path.stat().st_size, held))
    return found


def used_bytes(folder: Path) -> int:
    """Bytes of all segments of a spool."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    total += entry.stat().st_size
    return total


def is_held(path: Path) -> bool:
    """Whether a living process holds this file.

    Raises:
        OSError: it is gone, or must not be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: those who look do not see each other
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read(segment: Segment, offset: int, limit: int = CHUNK_BYTES) -> Chunk:
    """Whole frames from `offset` on, of about `limit` bytes, at least one if there is one.

    When nobody holds the segment and no frames are returned, it is read to its end: what is left is torn.

    Raises:
        OSError: the segment is gone, or must not be read.
    """
    end = offset + limit
    while True:
        buffer = _bytes(segment.path, offset, min(end, segment.size))
        found = list(frames(buffer, final=not segment.held and end >= segment.size))
        if found or end >= segment.size:
            break
        end += 4 * (end - offset)  # a longer frame, or damage
    whole = [one for one in found if isinstance(one, Frame)]
    damaged = [Damage(offset + one.start, offset + one.end) for one in found if isinstance(one, Damage)]
    return Chunk(whole, damaged, offset + (found[-1].end if found else 0))


def delete(segment: Segment) -> None:
    """Delete a segment that nobody holds and that was read to its end. One that is gone is no error."""
    segment.path.unlink(missing_ok=True)


def quarantine(segment: Segment, damage: Damage) -> None:
    """Keep the bytes of a damage in the spool's `bad`, and say so in the log. Twice is as once.

    A volume that takes no file is no error: what is damaged must not hold up what follows it.
    """
    name = f"{segment.path.stem}-{damage.start}.frame"
    logger.error("spool: %d bytes of %s at %d are damaged", damage.end - damage.start, segment.name, damage.start)
    keep(segment.path.parent, name, _bytes(segment.path, damage.start, damage.end))


def keep(folder: Path, name: str, content: bytes) -> None:
    """Keep bytes that cannot be moved under `<folder>/bad/<name>`. A volume that takes no file is told in the log."""
    try:
        write_atomic(folder / BAD / name, content, mode=0o600)
    except OSError as error:
        logger.error("spool: %d bytes that cannot be moved are lost, %s was not written: %s", len(content), name, error)


def count_bad(folder: Path) -> int:
    """How many pieces stand in the spool's `bad`."""
    return sum(1 for _ in (folder / BAD).glob("[!.]*"))


def remove_leftovers(folder: Path) -> None:
    """Delete hidden files that a killed process left half made. What a living one makes stays."""
    for path in [*folder.glob(".*"), *folder.glob(f"{BAD}/.*")]:
        try:
            if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS and not is_held(path):
                path.unlink()
                logger.info("spool: removed %s, left by a process that was killed", path.name)
        except OSError as error:  # another process was faster, or it is not ours
            logger.debug("spool: %s stays: %s", path.name, error)


def _bytes(path: Path, start: int, end: int) -> bytes:
    """Bytes of a file as far as they are there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        content = os.pread(descriptor, max(end - start, 0), start)
        # A write that failed is cut off again; what was cut off while we read may read as zeros.
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    return content[: max(size - start, 0)]
