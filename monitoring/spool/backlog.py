"""How much of a spool waits: counted by the headers of its frames, no payload is decoded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitoring.spool.frames import HEADER, LABEL, VERSION
from monitoring.spool.segments import CHUNK_BYTES, Segment


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is not yet moved. `oldest_us`: when its oldest row was received, microseconds since 1970 UTC; None: none."""

    rows: int
    oldest_us: int | None
    bytes: int


@dataclass(slots=True)
class _Counted:
    start: int
    end: int
    rows: int
    oldest_us: int | None


class Backlog:
    """Counts what waits, again and again; each header is read once as long as the offsets stand still."""

    def __init__(self) -> None:
        self._counted: dict[str, _Counted] = {}

    def look(self, segments: Sequence[Segment], offsets: Mapping[str, int]) -> Waiting:
        """What of these segments stands behind the offsets.

        Args:
            offsets: name of a segment -> how far it has been moved; one that is not named: not at all.
        """
        kept: dict[str, _Counted] = {}
        for segment in segments:
            start = offsets.get(segment.name, 0)
            known = self._counted.get(segment.name)
            if known is None or known.start != start:
                known = _Counted(start, start, 0, None)
            if known.end < segment.size:
                _count(segment.path, known, segment.size)
            kept[segment.name] = known
        self._counted = kept
        return Waiting(
            sum(counted.rows for counted in kept.values()),
            min((counted.oldest_us for counted in kept.values() if counted.oldest_us is not None), default=None),
            sum(max(segment.size - offsets.get(segment.name, 0), 0) for segment in segments),
        )


def _count(path: Path, counted: _Counted, size: int) -> None:
    """Add the frames behind `counted.end`. What is no header ends it: nothing behind it can be counted."""
    try:
        with path.open("rb", buffering=CHUNK_BYTES) as file:
            file.seek(counted.end)
            while len(header := file.read(HEADER.size)) == HEADER.size:
                length, _, version, kind, flags, rows, received_us = HEADER.unpack(header)
                end = counted.end + HEADER.size + length
                if version != VERSION or kind > LABEL or flags or end > size:
                    return
                counted.end = end
                counted.rows += rows
                if rows and (counted.oldest_us is None or received_us < counted.oldest_us):
                    counted.oldest_us = received_us
                file.seek(end)
    except FileNotFoundError:  # moved and deleted meanwhile
        return
