"""All four questions about one model, from its hours."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from contracts.objectives import Objectives
from contracts.reports.watching import Instrument, WindowQuality
from monitoring.expected import limits
from monitoring.expected.calibration import calibration
from monitoring.expected.challenger import challenger
from monitoring.expected.gap import gaps
from monitoring.expected.paired import paired_days, paired_newest
from monitoring.expected.totals import Days, Traffic
from monitoring.expected.windows import Gap, day_windows, measure_gap, newest_windows, with_waiting
from monitoring.hours.hour import Hour
from monitoring.hours.yardstick import Yardstick
from monitoring.statistics.expectation import from_metrics


def judge(
    hours: Sequence[Hour], yardstick: Yardstick, objectives: Objectives, now_hour: int, mature_hour: int
) -> tuple[tuple[WindowQuality, ...], tuple[Instrument, ...]]:
    """Quality of the windows, and the answers of the instruments, all rows first.

    Args:
        hours: of one model (digest and role), sorted, five weeks of them: 28 whole days and those that wait.
        now_hour: the newest hour, since 1970, UTC; later ones are not looked at.
        mature_hour: the newest hour whose rows have had their label's time: punctual rows are labelled first, and
            would flatter a younger one.
    """
    zone = yardstick.schema.calendar.time_zone
    traffic = Traffic.of([hour for hour in hours if hour.hour <= now_hour], zone, mature_hour)
    least, metrics = objectives.window_labels, tuple(sorted(yardstick.expected.items()))
    whole = _of_days(traffic.days, metrics, least)
    newest = newest_windows(traffic.newest, traffic.days, whole.gap, least)
    windows = with_waiting([*whole.windows, *newest], traffic.waiting)
    first = paired_newest(traffic.days, traffic.newest, from_metrics(yardstick.expected))
    return windows, (first, *whole.instruments)


@dataclass(frozen=True, slots=True)
class _Whole:
    gap: Gap
    windows: list[WindowQuality]
    instruments: tuple[Instrument, ...]


@lru_cache(maxsize=8)
def _of_days(days: Days, metrics: tuple[tuple[str, float], ...], least_labels: int) -> _Whole:
    """What whole days say: the same from one midnight to the next, and asked for each hour."""
    release = from_metrics(dict(metrics))
    window = days.newest(limits.DAYS)
    gap = measure_gap(window)
    instruments = (
        *paired_days(days, release),
        *gaps(window, gap, least_labels),
        *calibration(window, release, least_labels),
        challenger(window),
    )
    return _Whole(gap, day_windows(days, gap, least_labels), instruments)
