"""Months of departures, in New York's time, and the instants of the log that belong to them."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from contracts.features import HORIZON_HOURS

NEW_YORK: Final = ZoneInfo("America/New_York")
MONTHS: Final = 12  # at most, the newest: the work of a run does not grow with the log
Months = NDArray[np.str_]


def wanted_months(span: tuple[datetime, datetime] | None, first: str | None, last: str | None) -> list[str]:
    """Names of all months between, the newest `MONTHS` of them; none when nothing says where to begin or to end."""
    seen = new_york_months(np.array(span, "datetime64[us]")).tolist() if span else [None, None]
    begin, end = first or seen[0], last or seen[1]
    if begin is None or end is None:
        return []
    names: list[str] = np.arange(np.datetime64(begin, "M"), np.datetime64(end, "M") + 1).astype(str).tolist()
    return names[-MONTHS:]


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
