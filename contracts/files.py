"""Writes that a kill cannot tear: temporary file or folder, fsync, rename, fsync of the folder."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from contracts.errors import Unavailable


def write_atomic(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `content`, or leave it as it was. Makes missing parent folders.

    Args:
        mode: permissions of the new file; secrets want 0o600.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Stable bytes for equal values: sorted keys, no NaN, a newline at the end."""
    write_atomic(path, (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; when the block ends well, its files are on disk and it becomes `path`.

    What stood at `path` is removed just before. An exception or a kill leaves it as it was; a kill also leaves the
    unfinished `.<name>.new`, which the next call removes. One process at a time: the caller sees to that.
    """
    new = path.with_name(f".{path.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        for file in new.iterdir():
            _sync_file(file)
        sync_folder(new)
        shutil.rmtree(path, ignore_errors=True)
        new.rename(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    sync_folder(path.parent)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield an empty file beside `path`; when the block ends well, it is on disk and becomes `path`.

    An exception or a kill leaves what stood at `path`; a kill also leaves the unfinished `.<name>.new`, which the next
    call takes over. Makes missing parent folders.

    Raises:
        Unavailable: another process is writing it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = new.stat().st_ino == os.fstat(file.fileno()).st_ino  # not when its writer has just renamed it
        except (BlockingIOError, FileNotFoundError):
            mine = False
        if not mine:
            raise Unavailable(f"`{path}` must be written by one process at a time, got another one; wait for its end")
        try:
            file.truncate()
            yield file
            file.flush()
            os.fsync(file.fileno())
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` last through a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
