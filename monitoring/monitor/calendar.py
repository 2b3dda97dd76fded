"""Months of a task's calendar, and the instants of the log that belong to them.

>>> from contracts.schema import Calendar
>>> india = Calendar("Asia/Kolkata", horizon_minutes=120, label_delay_minutes=60)
>>> begin, end = month_instants("2013-07", india)  # midnight there is 18:30 UTC; asked two hours before
>>> str(begin), str(end)
('2013-06-30 16:30:00', '2013-07-31 16:30:00')
>>> months_of(np.array(["2013-06-30T16:29", "2013-06-30T16:30"], "datetime64[us]"), india).tolist()
['2013-06', '2013-07']
"""

from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from contracts.schema import Calendar
from monitoring.log.newest import newest_before

MONTHS: Final = 12  # months with rows that a run looks at, at most: its work does not grow with the log
AHEAD: Final = timedelta(days=1)  # by how much a caller's clock may be ahead of ours
Months = NDArray[np.str_]


def wanted_months(database_url: str, calendar: Calendar, first: str | None, last: str | None) -> list[str]:
    """Months of `first` to `last`; without them, the newest `MONTHS` that the log has a row of. Those between, too.

    Months in a pause of a year or more are left out: a replay of 2013 and a request of today do not make a page of all
    years between.

    Raises:
        DataError: there is no prediction log at this address.
    """
    found = seen_months(database_url, calendar)
    bounds = [name for name in (first, last) if name]
    wanted = [m for m in found if (first or m) <= m <= (last or m)]
    names = sorted({*wanted, *bounds})
    between = [
        np.arange(a, b).astype(str).tolist()
        for a, b in pairwise(np.array(names, "datetime64[M]"))
        if b - a < np.timedelta64(12, "M") or len(bounds) == 2
    ]
    return sorted({*names, *chain.from_iterable(between)})


def seen_months(database_url: str, calendar: Calendar) -> list[str]:
    """The newest `MONTHS` that have a row, in order. Rows of which the caller's clock was far ahead are in none."""
    before = datetime.now(UTC).replace(tzinfo=None) + AHEAD
    names: list[str] = []
    while len(names) < MONTHS and (newest := newest_before(database_url, before)) is not None:
        names.append(months_of(np.array([newest], "datetime64[us]"), calendar).tolist()[0])
        before, _ = month_instants(names[-1], calendar)
    return names[::-1]


def months_of(event_time: NDArray[np.datetime64], calendar: Calendar) -> Months:
    """[n] of "2013-07": the month, in the calendar's zone, of the moment that was predicted about.

    Args:
        event_time: datetime64 [n], UTC: when it was asked, the calendar's horizon before that moment.
    """
    if len(event_time) == 0:
        return np.array([], "U7")
    about = (event_time + np.timedelta64(calendar.horizon_minutes, "m")).astype("datetime64[M]")
    # A zone is at most a day off UTC, so a month before and after the UTC ones are enough.
    names = np.arange(about.min() - 1, about.max() + 2).astype(str)
    begins = np.array([month_instants(name, calendar)[0] for name in names.tolist()], "datetime64[us]")
    return names[np.searchsorted(begins, event_time, side="right") - 1].astype("U7")


def month_instants(month: str, calendar: Calendar) -> tuple[datetime, datetime]:
    """Half-open span of `event_time`, UTC without a zone, of what was predicted about this month."""
    zone, horizon = ZoneInfo(calendar.time_zone), timedelta(minutes=calendar.horizon_minutes)
    after = str(np.datetime64(month, "M") + 1)
    begin, end = (
        datetime.fromisoformat(f"{name}-01").replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None) - horizon
        for name in (month, after)
    )
    return begin, end
