"""What can be said of the spool's volume without a write."""

import errno
import os
from pathlib import Path
from typing import Final

FREE_BYTES: Final = 64 * 2**10  # a volume with less is full: the next large request would not fit


def why_not(folder: Path, needed: int) -> str | None:
    """Why the volume of this folder would take no write. None: it seems to take one. Makes a folder that is gone.

    Args:
        needed: bytes that have to be free, if they are more than 64 KiB.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        volume = os.statvfs(folder)
    except OSError as error:
        return reason_of(error)
    if volume.f_flag & os.ST_RDONLY:
        return "its volume is read-only"
    free, needed = volume.f_bavail * volume.f_frsize, max(needed, FREE_BYTES)
    return None if free >= needed else f"its volume must have {needed} bytes free, has {free}"


def is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def reason_of(error: OSError) -> str:
    """Without the path: callers of the service may read it."""
    return error.strerror or str(error)
