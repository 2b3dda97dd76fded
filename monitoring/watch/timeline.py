"""The champion's weeks by its hours: measured AUC in the band that its scores promised, volume, missing share.

Weeks are read one after another, and each becomes a few numbers: half a year of hours would be some hundred megabytes.
A week is as its hours were counted last: labels that are corrected later than `look.DAYS` do not change it any more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from contracts.reports.watching import Timeline, Week
from monitoring.expected import limits
from monitoring.expected.totals import local_day
from monitoring.hours.hour import SCORE_BINS, STATES, Hour
from monitoring.hours.store import read_hours
from monitoring.log.database import opened
from monitoring.log.sample import Clock
from monitoring.log.watching import HOURS
from monitoring.statistics import histograms

WEEKS: Final = 26
DAYS: Final = 7
ROLE: Final = "champion"
Counts = NDArray[np.int64]
_EPOCH_ORDINAL: Final = 719_163  # of 1970-01-01
_h: Final = HOURS.c


@dataclass(frozen=True, slots=True)
class _Day:
    """Sums of a local day: rows by label state and bin of the score [3, 64], and the missing share of all values."""

    counts: Counts
    missing: float


def timeline(database_url: str, clock: Clock, zone: str, least_labels: int, mature_hour: int) -> Timeline:
    """Of whole local weeks, the last one ending with the newest day whose labels have had their time.

    Args:
        zone: of the days, as "America/New_York".
        least_labels: of each class, for an AUC.
        mature_hour: the newest hour whose labels have had their time.
    """
    last = local_day(mature_hour + 1, zone) - 1
    first = last - WEEKS * DAYS + 1
    with opened(database_url) as engine:
        models = _models(engine, clock)
        weeks = [_days(_read(engine, clock, models, start), zone, start) for start in range(first, last + 1, DAYS)]
    while weeks and not _rows(weeks[0]):
        weeks = weeks[1:]
    error = _error([day for week in weeks for day in week])
    starts = range(last - len(weeks) * DAYS + 1, last + 1, DAYS)
    told = tuple(_week(start, week, error, least_labels) for start, week in zip(starts, weeks, strict=True))
    days = [(digest, local_day(hour, zone)) for digest, hour in models]
    releases = tuple((_date(day), digest) for digest, day in days if weeks and day >= starts[0])
    return Timeline(told, releases)


def _models(engine: sa.Engine, clock: Clock) -> list[tuple[str, int]]:
    """Digests that were champion, with the first hour of each, the oldest first; none before the first count."""
    first = sa.func.min(_h.hour)
    query = sa.select(_h.digest, first).where((_h.clock == clock) & (_h.role == ROLE)).group_by(_h.digest)
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(HOURS.name):
            return []
        return [(digest, int(hour)) for digest, hour in connection.execute(query.order_by(first))]


def _read(engine: sa.Engine, clock: Clock, models: Sequence[tuple[str, int]], start: int) -> Iterator[Hour]:
    """Hours that may be of the local week from the day `start` on: zones are up to a day from UTC."""
    begin = (start - _EPOCH_ORDINAL - 1) * 24
    end = begin + (DAYS + 2) * 24
    for digest, first in models:
        if first < end:
            yield from read_hours(engine, clock, digest, ROLE, begin, end)


def _days(hours: Iterator[Hour], zone: str, start: int) -> list[_Day]:
    counts = np.zeros((DAYS, STATES, SCORE_BINS), np.int64)
    missing, values = np.zeros(DAYS), np.zeros(DAYS)
    for hour in hours:
        if 0 <= (day := local_day(hour.hour, zone) - start) < DAYS:
            counts[day] += hour.scores.counts
            missing[day] += hour.missing.sum()
            values[day] += hour.rows * len(hour.missing)
    return [_Day(counts[day], float(missing[day] / max(values[day], 1))) for day in range(DAYS)]


def _rows(week: Sequence[_Day]) -> int:
    return sum(int(day.counts.sum()) for day in week)


def _error(days: Sequence[_Day]) -> float:
    """Standard error of a week's measured less promised AUC; NaN: too few days have labels."""
    parts = np.array([day.counts[1:] for day in days if day.counts[1:].sum()])
    if len(parts) < limits.LEAST_DAYS:
        return np.nan
    rest = histograms.left_out(parts)
    left = histograms.auc(rest[:, 0], rest[:, 1]) - histograms.expected_auc(rest.sum(1))
    error = float(histograms.jackknife_error(left)) * np.sqrt(len(parts) / DAYS)
    return float(np.hypot(error, limits.TRANSFER))


def _week(start: int, days: Sequence[_Day], error: float, least_labels: int) -> Week:
    total = np.sum([day.counts for day in days], axis=0)
    negative, positive = total[1:]
    known = min(negative.sum(), positive.sum()) >= least_labels
    expected = float(histograms.expected_auc(total[1:].sum(0))) if known else np.nan
    half = limits.INTERVAL_Z * error
    banded = known and np.isfinite(half) and np.isfinite(expected)
    rows = int(total.sum())
    return Week(
        first=_date(start),
        rows=rows,
        labelled=int(total[1:].sum()),
        auc=float(histograms.auc(negative, positive)) if known else None,
        expected_low=expected - half if banded else None,
        expected_high=min(expected + half, 1.0) if banded else None,
        missing=sum(day.missing * int(day.counts.sum()) for day in days) / rows if rows else None,
    )


def _date(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()
