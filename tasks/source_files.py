"""Raw files of a source: found, and read only when their bytes are the pinned ones."""

from collections.abc import Iterable
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from contracts.errors import DataError


def installed(distribution: str, folder: str, names: Iterable[str], again: str) -> dict[str, Path]:
    """Where files of an installed distribution should lie: file name -> path. Nothing is imported.

    Args:
        folder: of the files, below site-packages.
        again: what to do when something is wrong, for the message.

    Raises:
        DataError: the distribution is not installed, or does not list one of them.
    """
    try:
        listed = metadata.files(distribution) or []
    except metadata.PackageNotFoundError as error:
        raise DataError(f"`{distribution}` must be installed, it holds the data, got nothing; {again}") from error
    found = {file.name: Path(str(file.locate())) for file in listed if file.parent.as_posix() == folder}
    for name in names:
        if name not in found:
            raise DataError(f"`{name}` must be a file of {distribution}, got nothing of that name; {again}")
    return {name: found[name] for name in names}


def verified(path: Path, pinned: str, again: str) -> bytes:
    """The file's content. What is parsed are the bytes that were hashed.

    Raises:
        DataError: unreadable, or another sha256 than the pinned one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"`{path.name}` must be a readable file, got: {error}; {again}") from error
    found = sha256(content).hexdigest()
    if found != pinned:
        raise DataError(f"`{path.name}` must have sha256 {pinned}, got {found}: it is damaged; {again}")
    return content
