"""How far each segment of the spool has been moved, kept in a file beside the spool.

It is written after the database has taken a batch. A companion that is killed in between moves that batch again, and
the keys of the tables drop what is there: nothing is lost, nothing stands there twice.
"""

import logging
from pathlib import Path
from typing import Final

import msgspec

from contracts.store.state import State

logger = logging.getLogger(__name__)

FILE: Final = "moved.json"


class Moved(msgspec.Struct, frozen=True):
    """Name of a segment -> bytes from its start that are in the database."""

    offsets: dict[str, int]


class Offsets:
    """The offsets, in memory and in `<state>/moved.json`. Damaged or lost, each segment is moved from its start."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._path: Path = state.folder / FILE
        self.values = self._read()

    def _read(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Moved).offsets
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.warning("%s is damaged, every segment is moved from its start: %s", self._path, error)
            return {}

    def note(self, segment: str, offset: int) -> None:
        """Note how far a segment has been moved. A disk that is full loses the note alone: the batch is moved again."""
        self.values = self.values | {segment: offset}
        self._write()

    def keep(self, segments: set[str]) -> None:
        """Forget those that are not there any more."""
        if not self.values.keys() <= segments:
            self.values = {name: offset for name, offset in self.values.items() if name in segments}
            self._write()

    def _write(self) -> None:
        try:
            self._state.write(self._path, Moved(self.values))
        except OSError as error:
            logger.warning("%s could not be written: %s", self._path, error.strerror)
