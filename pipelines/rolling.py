"""Rolling features as Ibis expressions: what had happened by a flight's cutoff, over a window that ends there.

Events and cutoffs are laid on one line of whole minutes. An event counts when `cutoff - window < event <= cutoff`.
Sums are of integers and are divided once, so neither the order of rows nor the number of threads shows in a result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import ibis

Expression = Any  # ibis ships no types
HOUR: Final = 60
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Rolling:
    """One feature: over events with the same `by`, in the `minutes` up to the cutoff.

    `by` names columns of `flights`; none is the whole system. Missing when a name has no value for the flight.
    """

    name: str
    by: tuple[str, ...]
    minutes: int


# Mean of `dep_delay` over flights by when they departed.
DEPARTURE_DELAYS: Final = (
    Rolling("origin_dep_delay_1h", ("origin",), HOUR),
    Rolling("origin_dep_delay_3h", ("origin",), 3 * HOUR),
    Rolling("carrier_dep_delay_3h", ("carrier",), 3 * HOUR),
    Rolling("carrier_origin_dep_delay_6h", ("carrier", "origin"), 6 * HOUR),
    Rolling("system_dep_delay_1h", (), HOUR),
    Rolling("tail_dep_delay_24h", ("tailnum",), DAY),
)
# Mean of `arr_delay`, and of "late", over flights by when they landed.
ARRIVAL_DELAYS: Final = (
    Rolling("dest_arr_delay_6h", ("dest",), 6 * HOUR),
    Rolling("system_arr_delay_3h", (), 3 * HOUR),
)
LATE_SHARES: Final = (
    Rolling("origin_late_share_24h", ("origin",), DAY),
    Rolling("dest_late_share_24h", ("dest",), DAY),
    Rolling("flight_late_share_28d", ("carrier", "flight"), 28 * DAY),
    Rolling("route_late_share_28d", ("origin", "dest"), 28 * DAY),
    Rolling("carrier_late_share_28d", ("carrier",), 28 * DAY),
)
BACKLOG: Final = Rolling("origin_backlog_3h", ("origin",), 3 * HOUR)
PRECIPITATION: Final = Rolling("precip_6h", ("origin",), 6 * HOUR)
KEYS: Final = ("carrier", "flight", "tailnum", "origin", "dest")


def minute(instant: Expression) -> Expression:
    """Whole minutes since 1970, UTC: int64."""
    return instant.epoch_seconds().cast("int64") // 60


def line(events: Expression, queries: Expression, keys: Sequence[str], values: Sequence[str]) -> Expression:
    """Events and queries as rows of one table; `flight_id` is null on an event, `values` on a query.

    Args:
        events: columns `at` (int64, minute), `keys`, and `values` (int64, null: not an event of that kind).
        queries: columns `flight_id`, `cutoff` (int64, minute), and `keys`.
    """
    as_event = events.select("at", *keys, *values, flight_id=ibis.null("string"))
    nothing = {name: ibis.null("int64") for name in values}
    as_query = queries.select(*keys, at=queries["cutoff"], flight_id=queries["flight_id"], **nothing)
    columns = ["flight_id", "at", *keys, *values]
    return as_event.select(columns).union(as_query.select(columns))


def total(table: Expression, value: str, rolling: Rolling) -> Expression:
    """Sum of `value` in the window: int64, null without an event."""
    return table[value].sum().over(_window(rolling)).cast("int64")


def count(table: Expression, value: str, rolling: Rolling) -> Expression:
    """Number of events with a `value` in the window: int64, 0 without one."""
    return table[value].count().over(_window(rolling))


def mean(table: Expression, value: str, rolling: Rolling) -> Expression:
    """Mean of `value` in the window: float32, null without an event."""
    n = count(table, value, rolling)
    # One division in double precision, then one rounding.
    result = total(table, value, rolling).cast("float64") / n.nullif(0).cast("float64")
    for key in rolling.by:
        # Flights of unknown aircraft do not share one.
        result = table[key].notnull().ifelse(result, ibis.null("float64"))
    return result.cast("float32")


def _window(rolling: Rolling) -> Expression:
    # Whole minutes make the half-open window a closed one: from `minutes - 1` before the cutoff up to it.
    by = list(rolling.by) or None
    return ibis.range_window(preceding=rolling.minutes - 1, following=0, group_by=by, order_by="at")
