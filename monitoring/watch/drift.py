"""Drift as a description: what moved this week, against the weeks before and against the training sample.

Each feature's newest seven days are compared with the 28 before, and that distance with what single weeks of these 28
are from the other three: features that move every week are not news when they move again. Nothing here has a threshold:
the rank is what is said. How often healthy weeks move further than usual stands in docs/adr/0031-drift-is-described.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from contracts.reports.watching import Drift, Shift
from monitoring.hours.hour import NAMES, REST, Hour
from monitoring.hours.yardstick import Yardstick

WEEK: Final = 168  # hours
WEEKS_BEFORE: Final = 4
LEAST_ROWS: Final = 200  # of a week; with fewer, 33 bins are mostly chance
Floats = NDArray[np.float64]


def describe(hours: Sequence[Hour], yardstick: Yardstick, now_hour: int) -> Drift:
    """Of one model's hours: its newest week, `now_hour` its last hour, and the four before.

    Args:
        hours: of one model and role, in any order; others than these five weeks' are left out.
    """
    names = _kept_names(yardstick)
    weeks = [
        _Counted.of([hour for hour in hours if 0 <= now_hour - back * WEEK - hour.hour < WEEK], yardstick, names)
        for back in range(1 + WEEKS_BEFORE)
    ]
    newest, before, trained = weeks[0], _Counted.sum(weeks[1:]), _Counted.of_sample(yardstick, names)
    ranges = zip(
        yardstick.schema.names, _distances(newest, before), _usual(weeks[1:]), _distances(newest, trained), strict=True
    )
    shifts = [
        Shift(name, month, usual, reference, *newest.told(place, before))
        for place, (name, month, usual, reference) in enumerate(ranges)
    ]
    return Drift(newest.rows, before.rows, tuple(sorted(shifts, key=_rank)))


def _rank(shift: Shift) -> tuple[bool, float]:
    """What moved beyond its usual, then what has no usual yet, by its distance alone."""
    if shift.month is None:
        return True, 0.0
    return False, (shift.usual or 0.0) - shift.month


def _usual(weeks: Sequence["_Counted"]) -> list[float | None]:
    """Largest distance of a week from the other three; None unless at least two of these were comparable."""
    found = []
    for place, week in enumerate(weeks):
        found.append(_distances(week, _Counted.sum([*weeks[:place], *weeks[place + 1 :]])))
    by_feature = [[value for value in one if value is not None] for one in zip(*found, strict=True)]
    return [max(values) if len(values) > 1 else None for values in by_feature]


@dataclass(frozen=True, slots=True)
class _Counted:
    """Rows of some hours by feature.

    Attributes:
        shares: a histogram [bins] for each feature, in rows: of numbers 32 bins and the missing ones, of categories
            the names of the training sample, "*" (all others) and "".
        sums: [k, 2], of known values, and their number.
        missing: [f] rows.
    """

    rows: int
    counts: tuple[Floats, ...]
    sums: Floats
    missing: Floats

    @classmethod
    def of(cls, hours: Sequence[Hour], yardstick: Yardstick, names: Sequence[Sequence[str]]) -> Self:
        k = len(yardstick.schema.numeric)
        missing = _total([hour.missing for hour in hours], len(yardstick.schema.names))
        bins = _total([hour.bins for hour in hours], yardstick.reference_bins.shape)
        sums = _total([hour.sums[:, 0] for hour in hours], k)
        numbers = [np.append(one, absent) for one, absent in zip(bins, missing[:k], strict=True)]
        categories = [_by_name([hour.categories[column] for hour in hours], kept) for column, kept in enumerate(names)]
        return cls(
            sum(hour.rows for hour in hours),
            (*numbers, *categories),
            np.stack([sums, bins.sum(axis=1)], axis=1),
            missing,
        )

    @classmethod
    def of_sample(cls, yardstick: Yardstick, names: Sequence[Sequence[str]]) -> Self:
        numeric, category = yardstick.reference.numeric, yardstick.reference.category
        known = ~np.isnan(numeric)
        counts = yardstick.reference_bins * known.sum(axis=0)[:, None]
        numbers = [np.append(one, absent) for one, absent in zip(counts, (~known).sum(axis=0), strict=True)]
        categories = [
            _by_name([Counter(column.tolist())], kept) for column, kept in zip(category.T, names, strict=True)
        ]
        sums = np.stack([np.where(known, numeric, 0).sum(axis=0, dtype=np.float64), known.sum(axis=0)], axis=1)
        missing = np.concatenate([(~known).sum(axis=0), (category == "").sum(axis=0)]).astype(np.float64)
        return cls(len(numeric), (*numbers, *categories), sums, missing)

    @classmethod
    def sum(cls, parts: "Sequence[_Counted]") -> "_Counted":
        counts = tuple(np.sum(one, axis=0) for one in zip(*(part.counts for part in parts), strict=True))
        sums, missing = (np.sum([getattr(part, name) for part in parts], axis=0) for name in ("sums", "missing"))
        return cls(sum(part.rows for part in parts), counts, sums, missing)

    def told(self, place: int, before: "_Counted") -> tuple[float | None, float | None, float | None, float | None]:
        """Missing shares and means of a feature, here and before."""
        shares = [float(one.missing[place] / one.rows) if one.rows else None for one in (self, before)]
        means: list[float | None] = [None, None]
        if place < len(self.sums):
            means = [float(s / n) if n else None for s, n in (self.sums[place], before.sums[place])]
        return shares[0], shares[1], means[0], means[1]


def _distances(one: _Counted, other: _Counted) -> list[float | None]:
    """Jensen-Shannon distance by feature (Lin 1991; base 2, the square root)."""
    if min(one.rows, other.rows) < LEAST_ROWS:
        return [None] * len(one.counts)
    return [_distance(a / a.sum(), b / b.sum()) for a, b in zip(one.counts, other.counts, strict=True)]


def _distance(p: Floats, q: Floats) -> float:
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(one > 0, one * np.log2(one / middle), 0.0).sum() for one in (p, q)]
    return float(np.sqrt(max(sum(parts) / 2, 0.0)))


def _kept_names(yardstick: Yardstick) -> list[list[str]]:
    """The training sample's most frequent names, as many as an hour tells apart; all others are one."""
    return [
        [name for name, _ in Counter(column.tolist()).most_common(NAMES) if name not in ("", REST)]
        for column in yardstick.reference.category.T
    ]


def _by_name(counted: Sequence[Mapping[str, int]], kept: Sequence[str]) -> Floats:
    """Rows [names + 2] by kept name, of all others, and without a name."""
    total: Counter[str] = Counter()
    for one in counted:
        total.update(one)
    known = [total[name] for name in kept]
    return np.array([*known, total.total() - sum(known) - total[""], total[""]], np.float64)


def _total(arrays: Sequence[NDArray[Any]], shape: int | tuple[int, ...]) -> Floats:
    return np.sum(arrays, axis=0, dtype=np.float64) if len(arrays) else np.zeros(shape)
