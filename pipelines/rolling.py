"""Rolling features as Ibis expressions: what had happened by a flight's cutoff, over a window that ends there.

Events and cutoffs are laid on one line of whole minutes. An event counts when `cutoff - window < event <= cutoff`.
Values are integers, so their sums are exact: neither the order of rows nor the number of threads shows in a result.
A mean of fewer than 2**27 of them also rounds to the same float32 through any wider type.
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


def minute(instant: Expression) -> Expression:
    """Whole minutes since 1970, UTC: int64."""
    return instant.epoch_seconds().cast("int64") // 60


def line(events: Expression, queries: Expression, by: Sequence[str], values: Sequence[str]) -> Expression:
    """Events and queries as rows of one table; `row` is null on an event, `values` are null on a query.

    Args:
        events: columns `at` (int64, minute), `by`, and `values` (int64).
        queries: columns `row` (int64, unique), `cutoff` (int64, minute), and `by`.
    """
    nothing = ibis.null("int64")
    as_event = events.select("at", *by, *values, row=nothing)
    as_query = queries.select(*by, at="cutoff", row="row", **dict.fromkeys(values, nothing))
    return as_event.union(as_query.select(as_event.columns))


def of_queries(table: Expression, features: dict[str, Expression]) -> Expression:
    """The features by `row`: events have served once the windows are computed."""
    computed = table.select("row", **features)
    return computed.filter(computed["row"].notnull())


def total(table: Expression, value: str, rolling: Rolling) -> Expression:
    """Sum of `value` in the window: int64, null without an event."""
    return table[value].sum().over(_window(rolling)).cast("int64")


def mean(table: Expression, value: str, rolling: Rolling) -> Expression:
    """Mean of `value` in the window: float32, null without an event."""
    result = table[value].mean().over(_window(rolling))
    for key in rolling.by:
        # Flights of unknown aircraft do not share one.
        result = table[key].notnull().ifelse(result, ibis.null("float64"))
    return result.cast("float32")


def _window(rolling: Rolling) -> Expression:
    # Whole minutes make the half-open window a closed one: from `minutes - 1` before the cutoff up to it.
    by = list(rolling.by) or None
    return ibis.range_window(preceding=rolling.minutes - 1, following=0, group_by=by, order_by="at")
