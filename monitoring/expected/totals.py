"""Hours summed to local days, all slices side by side in arrays.

A whole day is summed once: its hours are the same objects at the next look, and what was made of them is remembered.
Totals and days are therefore equal to themselves alone, and never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from monitoring.expected import limits
from monitoring.hours.hour import Hour, Scores
from monitoring.statistics import expectation
from monitoring.statistics.histograms import BINS

Floats = NDArray[np.float64]
ALL: Final = ""  # the name of the slice that is all rows


@dataclass(frozen=True, slots=True, eq=False)
class Total:
    """Sums of some hours; row s of each array is the slice `names[s]`, row 0 all rows.

    Attributes:
        counts, reference: int64 [s, 3, 64] by label state and bin, of the model's and the reference scorer's scores.
        score_sum: [s] of the model's scores of labelled rows.
        loss: [s, 2]: log-loss of the model in nats, and the rows that it is of.
        challenger: [s, 2]: loss of the model less the challenger's, and the rows that both scored.
        paired: [s] loss less the reference scorer's, per row, shifted to these hours; NaN is unknown.
        relative: [s] mean score less the reference scorer's; NaN is unknown.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    reference: NDArray[np.int64]
    score_sum: Floats
    loss: Floats
    challenger: Floats
    paired: Floats
    relative: Floats

    @property
    def labelled(self) -> NDArray[np.int64]:
        """[s] rows."""
        found: NDArray[np.int64] = self.counts[:, 1:].sum((1, 2))
        return found

    @classmethod
    def of(cls, hours: Sequence[Hour]) -> Self:
        parts: dict[str, list[Scores]] = {ALL: []}
        for hour in hours:
            parts[ALL].append(hour.scores)
            for name, scores in hour.slices.items():
                parts.setdefault(name, []).append(scores)
        names = (ALL, *sorted(set(parts) - {ALL}))
        counts = np.stack([_sum([part.counts for part in parts[name]], (3, BINS)) for name in names])
        reference = np.stack([_sum([part.reference_counts for part in parts[name]], (3, BINS)) for name in names])
        sums = np.array([_sums(parts[name]) for name in names])
        return cls(
            names,
            counts.astype(np.int64),
            reference.astype(np.int64),
            sums[:, 0],
            sums[:, 1:3],
            sums[:, 3:5],
            expectation.paired_loss(counts, reference),
            expectation.paired_score(counts, reference),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """Whole local days whose labels have had their time, oldest first. Arrays as of `Total`, [s, d, ...].

    Attributes:
        days: [d] consecutive ordinals (`date.toordinal`); a day without traffic is all zeros and NaN.
    """

    names: tuple[str, ...]
    days: NDArray[np.int64]
    counts: NDArray[np.int64]
    score_sum: Floats
    loss: Floats
    challenger: Floats
    paired: Floats
    relative: Floats

    @property
    def labelled(self) -> NDArray[np.int64]:
        """[s, d] rows."""
        found: NDArray[np.int64] = self.counts[:, :, 1:].sum((2, 3))
        return found

    def newest(self, days: int) -> "Days":
        """The last of them."""
        part = slice(max(0, len(self.days) - days), None)
        return Days(
            self.names,
            self.days[part],
            self.counts[:, part],
            *(values[:, part] for values in (self.score_sum, self.loss, self.challenger, self.paired, self.relative)),
        )

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, by_day: tuple[tuple[int, Total], ...], last: int) -> Self:
        """Of totals and the ordinals of their days, up to the day `last`."""
        totals = dict(by_day)
        first = min(totals, default=last + 1)
        count = last - first + 1
        names = (ALL, *sorted({name for total in totals.values() for name in total.names} - {ALL}))
        place = {name: index for index, name in enumerate(names)}
        shape = (len(names), count)
        found = cls(
            names,
            np.arange(first, last + 1),
            np.zeros((*shape, 3, BINS), np.int64),
            np.zeros(shape),
            np.zeros((*shape, 2)),
            np.zeros((*shape, 2)),
            np.full(shape, np.nan),
            np.full(shape, np.nan),
        )
        for day, total in totals.items():
            rows = [place[name] for name in total.names]
            for field in ("counts", "score_sum", "loss", "challenger", "paired", "relative"):
                getattr(found, field)[rows, day - first] = getattr(total, field)
        return found


@dataclass(frozen=True, slots=True)
class Traffic:
    """All that is judged of one model: whole days, the newest 24 mature hours, and rows that wait for their labels."""

    days: Days
    newest: Total
    waiting: dict[str, int]

    @classmethod
    def of(cls, hours: Sequence[Hour], zone: str, mature_hour: int) -> Self:
        """Of hours of one model, sorted.

        Args:
            zone: of the days, as "America/New_York".
            mature_hour: the newest hour whose labels have had their time.
        """
        last = local_day(mature_hour + 1, zone) - 1
        groups: dict[int, list[Hour]] = {}
        for hour in hours:
            if last - limits.KEPT_DAYS < (day := local_day(hour.hour, zone)) <= last:
                groups.setdefault(day, []).append(hour)
        totals = tuple((day, _remembered(_Same(tuple(group)))) for day, group in groups.items())
        newest = [hour for hour in hours if mature_hour - 24 < hour.hour <= mature_hour]
        waiting: dict[str, int] = {}
        for hour in hours:
            if hour.hour > mature_hour:
                for name, scores in ((ALL, hour.scores), *hour.slices.items()):
                    waiting[name] = waiting.get(name, 0) + int(scores.counts.sum())
        return cls(Days.of(totals, last), Total.of(newest), waiting)


@lru_cache(maxsize=4096)
def local_day(hour: int, zone: str) -> int:
    """Ordinal of the local date in which an hour since 1970, UTC, begins."""
    return datetime.fromtimestamp(hour * 3600, UTC).astimezone(ZoneInfo(zone)).date().toordinal()


class _Same:
    """Hours that are equal only to themselves: their arrays have no cheap equality, and are never changed."""

    __slots__ = ("hours",)

    def __init__(self, hours: tuple[Hour, ...]) -> None:
        self.hours = hours

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.hours)))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Same)
            and len(self.hours) == len(other.hours)
            and all(a is b for a, b in zip(self.hours, other.hours, strict=True))
        )


@lru_cache(maxsize=3 * limits.DAYS)  # three models at once
def _remembered(same: _Same) -> Total:
    return Total.of(same.hours)


def _sum(arrays: list[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.sum(arrays, axis=0) if arrays else np.zeros(shape, np.int64)


def _sums(parts: list[Scores]) -> tuple[float, float, float, float, float]:
    """Of labelled rows: scores; loss and its rows; difference to the challenger and its rows."""
    score = loss = loss_rows = ahead = ahead_rows = 0.0
    for part in parts:
        rows = float(part.counts[1:].sum())
        score += float(part.score_sum[1:].sum())
        if np.isfinite(part.loss[0]):
            loss, loss_rows = loss + float(part.loss[0]), loss_rows + rows
        if np.isfinite(part.loss[2]) and np.isfinite(part.paired[1, 0]):
            ahead, ahead_rows = ahead + float(part.paired[1, 0]), ahead_rows + rows
    return score, loss, loss_rows, ahead, ahead_rows
