"""How the log moves, as metrics: from what the companion last wrote, and from the spool's files."""

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from contracts.store.state import CompanionState, State
from monitoring.spool.segments import list_segments, used_bytes

STALE_SECONDS: Final = 5.0  # a companion that lives writes each half second


class LogMetrics(Collector):
    """Reads the files at each scrape, and keeps nothing.

    A companion that is dead, or that never was, leaves what it alone knows unknown (NaN): whether the database is up,
    and how many rows wait. How long they wait is told all the same.

    Args:
        limit: bytes that the spool may have.
    """

    def __init__(self, state: State, spool: Path, limit: int) -> None:
        self._state, self._spool, self._limit = state, spool, limit

    def collect(self) -> Iterator[Metric]:
        now, told = time.time(), self._state.read_companion()
        lives = told is not None and abs(now - told.at) <= STALE_SECONDS
        known = told if lives else None
        oldest = known.oldest_us / 1e6 if known is not None else self._oldest(told)
        database_up = math.nan if known is None else float(known.database_up)
        unmoved_rows = math.nan if known is None else float(known.unmoved_rows)
        for name, what, value in (
            ("companion_up", "Whether the companion, which moves the log, has written its state lately.", float(lives)),
            (
                "database_up",
                "Whether the database answered the last write, or the last question where nothing was to be written.",
                database_up,
            ),
            ("spool_unmoved_rows", "Spooled rows not yet in the database.", unmoved_rows),
            (
                "spool_oldest_seconds",
                "Age of the oldest row not yet in the database; 0: none.",
                max(now - oldest, 0.0) if oldest else 0.0,
            ),
            ("spool_bytes", "Bytes of the spool's segments.", self._bytes()),
            (
                "spool_room_bytes",
                "Bytes that the spool still may grow by: what its limit or its volume leaves, whichever is less.",
                self._room(),
            ),
        ):
            yield GaugeMetricFamily(f"windsock_{name}", what, value)
        moved, damaged = (0, 0) if told is None else (told.moved_rows, told.damaged)
        what = "Rows that moved from the spool into the database."
        yield CounterMetricFamily("windsock_moved_rows", what, moved)
        what = "Records of the spool that could not be moved and were put aside."
        yield CounterMetricFamily("windsock_damaged_records", what, damaged)

    def _oldest(self, told: CompanionState | None) -> float:
        """When the oldest row that waits was received, as far as the files say; seconds since 1970; 0: none waits."""
        if told is not None and told.oldest_us:
            return told.oldest_us / 1e6
        segments = [segment for segment in list_segments(self._spool) if segment.size]
        if told is None:
            return min((int(segment.name.partition("-")[0]) / 1e9 for segment in segments), default=0.0)
        changed = max((segment.path.stat().st_mtime for segment in segments), default=0.0)
        return told.at if changed > told.at else 0.0

    def _bytes(self) -> float:
        try:
            return float(used_bytes(self._spool))
        except OSError:
            return math.nan

    def _room(self) -> float:
        try:
            volume = os.statvfs(self._spool)
        except OSError:
            return math.nan
        return min(self._limit - self._bytes(), float(volume.f_bavail * volume.f_frsize))
