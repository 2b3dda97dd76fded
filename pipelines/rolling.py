"""The schema's windows as Ibis expressions: what had happened by a prediction's cutoff, over a span that ends there.

Events and cutoffs are laid on one line of whole minutes, and an event at minute t counts when
`cutoff - lag - minutes < t <= cutoff - lag`:

    minute      57  58  59  60  61  62
    event        4       6       9
    cutoff                       x        minutes=3, lag=0: 59, 60, 61 -> sum 15, mean 7.5, last 9
                                          minutes=3, lag=1: 58, 59, 60 -> sum 6,  mean 6,   last 6

Values are integers, so their sums are exact: neither the order of rows nor the number of threads shows in a result.
A mean of fewer than 2**27 of them also rounds to the same float32 through any wider type.

>>> from contracts.schema import Window
>>> events = ibis.memtable({"at": [57, 59, 61], "value": [4, 6, 9]})
>>> queries = ibis.memtable({"row": [0], "cutoff": [61]})
>>> windows = {
...     "sum": Window("stream", "value", "sum", minutes=3),
...     "mean": Window("stream", "value", "mean", minutes=3),
...     "mean_lag": Window("stream", "value", "mean", minutes=3, lag=1),
... }
>>> ibis.duckdb.connect().to_pyarrow(totals(events, queries, windows)).to_pylist()
[{'row': 0, 'sum': 15.0, 'mean': 7.5, 'mean_lag': 6.0}]
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ibis

from contracts.schema import Window

Expression = Any  # ibis ships no types


def totals(events: Expression, queries: Expression, windows: Mapping[str, Window]) -> Expression:
    """Sums and means of one stream.

    Args:
        events: columns `at` (int64, minute), the keys in `by`, and the values (integers).
        queries: columns `row` (int64, unique), `cutoff` (int64, minute), and the keys in `by`.
        windows: feature -> its window, with statistic "sum" or "mean".

    Returns:
        `row` and a float32 column a feature, null where it is missing.
    """
    table = line(events, queries, keys(windows), values(windows))
    computed = table.select("row", **{name: _total(table, window) for name, window in windows.items()})
    return computed.filter(computed["row"].notnull())  # events have served once the windows are computed


def latest(events: Expression, queries: Expression, windows: Mapping[str, Window]) -> Expression:
    """Values of the latest events of one stream; of several with the same keys in one minute, the greatest value.

    Args:
        events, queries: as in `totals`; values are any numbers.
        windows: feature -> its window, all with statistic "last" and equal `by` and `lag`.

    Returns:
        As `totals`.
    """
    first = next(iter(windows.values()))
    at_once = events.group_by(["at", *first.by]).aggregate(**{v: events[v].max() for v in values(windows)})
    shared = {f"query_{key}": key for key in first.by}
    asked = queries.select("row", end=queries["cutoff"] - first.lag, **shared)
    same_keys = [asked[mine] == at_once[theirs] for mine, theirs in shared.items()]
    table = asked.asof_join(at_once, asked["end"] >= at_once["at"], same_keys)
    return table.select("row", **{name: _last(table, window) for name, window in windows.items()})


def line(events: Expression, queries: Expression, by: Sequence[str], measured: Sequence[str]) -> Expression:
    """Events and queries as rows of one table; `row` is null on an event, values are null on a query."""
    nothing = ibis.null("int64")
    as_event = events.select("at", *by, **{v: events[v].cast("int64") for v in measured}, row=nothing)
    as_query = queries.select(*by, at="cutoff", row="row", **dict.fromkeys(measured, nothing))
    return as_event.union(as_query.select(as_event.columns))


def keys(windows: Mapping[str, Window]) -> list[str]:
    """All keys that the windows use, each once."""
    return sorted({key for window in windows.values() for key in window.by})


def values(windows: Mapping[str, Window]) -> list[str]:
    """All values that the windows use, each once."""
    return sorted({window.value for window in windows.values()})


def _total(table: Expression, window: Window) -> Expression:
    # Whole minutes make the half-open span a closed one.
    span = ibis.range_window(
        preceding=(window.lag + window.minutes - 1, window.lag), group_by=list(window.by) or None, order_by="at"
    )
    value = table[window.value]
    result = value.sum().over(span) if window.statistic == "sum" else value.mean().over(span)
    return _finished(result.cast("float64") / window.divisor, [table[key] for key in window.by], window)


def _last(table: Expression, window: Window) -> Expression:
    inside = (table["end"] - table["at"] < window.minutes).fill_null(False)
    nothing = ibis.null("float64") if window.empty is None else ibis.literal(window.empty, "float64")
    result = inside.ifelse(table[window.value].cast("float64") / window.divisor, nothing)
    return _present([table[f"query_{key}"] for key in window.by], result).cast("float32")


def _finished(result: Expression, by: Sequence[Expression], window: Window) -> Expression:
    if window.empty is not None:
        result = result.fill_null(window.empty)
    return _present(by, result).cast("float32")


def _present(by: Sequence[Expression], result: Expression) -> Expression:
    """Missing where a key is: predictions about unknown things do not share one."""
    for key in by:
        result = key.notnull().ifelse(result, ibis.null("float64"))
    return result
