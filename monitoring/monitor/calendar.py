"""Months of departures, in New York's time, and the instants of the log that belong to them."""

from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from contracts.features import HORIZON_HOURS
from monitoring.log.reader import newest_before

NEW_YORK: Final = ZoneInfo("America/New_York")
MONTHS: Final = 12  # with rows, at most: the work of a run does not grow with the log
AHEAD: Final = timedelta(days=1)  # what a caller's clock may be ahead
Months = NDArray[np.str_]


def wanted_months(database_url: str, first: str | None, last: str | None) -> list[str]:
    """Months of `first` to `last`; without them, the newest `MONTHS` that the log has a row of. Those between, too.

    A pause of a year is none: a replay of 2013 and a request of today do not make a page of all years between.

    Raises:
        DataError: there is no prediction log at this address.
    """
    found = seen_months(database_url)
    bounds = [name for name in (first, last) if name]
    wanted = [m for m in found if (first or m) <= m <= (last or m)]
    names = sorted({*wanted, *bounds})
    between = [
        np.arange(a, b).astype(str).tolist()
        for a, b in pairwise(np.array(names, "datetime64[M]"))
        if b - a < np.timedelta64(12, "M") or len(bounds) == 2
    ]
    return sorted({*names, *chain.from_iterable(between)})


def seen_months(database_url: str) -> list[str]:
    """The newest `MONTHS` that have a row, in order. Rows of which the caller's clock was far ahead are in none."""
    before = datetime.now(UTC).replace(tzinfo=None) + AHEAD
    names: list[str] = []
    while len(names) < MONTHS and (newest := newest_before(database_url, before)) is not None:
        names.append(new_york_months(np.array([newest], "datetime64[us]")).tolist()[0])
        before, _ = month_instants(names[-1])
    return names[::-1]


def new_york_months(event_time: NDArray[np.datetime64]) -> Months:
    """[n] of "2013-07": the month, in New York, of the departure that was asked about.

    Args:
        event_time: datetime64 [n], UTC: when it was asked, `HORIZON_HOURS` before departure.
    """
    # New York's offset is whole hours, so the hour decides, and few of them are distinct.
    hours, inverse = np.unique(event_time.astype("datetime64[h]") + HORIZON_HOURS, return_inverse=True)
    local = [hour.replace(tzinfo=UTC).astimezone(NEW_YORK) for hour in hours.astype("datetime64[s]").tolist()]
    return np.array([f"{hour:%Y-%m}" for hour in local], dtype="U7")[inverse]


def month_instants(month: str) -> tuple[datetime, datetime]:
    """Half-open span of `event_time`, UTC without a zone, of this month of departures in New York."""
    after = str(np.datetime64(month, "M") + 1)
    begin, end = (
        datetime.fromisoformat(f"{name}-01").replace(tzinfo=NEW_YORK).astimezone(UTC).replace(tzinfo=None)
        - timedelta(hours=HORIZON_HOURS)
        for name in (month, after)
    )
    return begin, end
