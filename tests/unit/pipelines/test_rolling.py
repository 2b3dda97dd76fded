"""Windows at their edges, on hand-made events."""

import doctest
from datetime import datetime, timedelta
from typing import Any

import ibis
import pandas as pd
import pytest

from contracts.schema import Window
from pipelines import rolling
from pipelines.feature_windows import connection
from pipelines.rolling import latest, totals
from tasks.instants import minute

CUTOFF = 10_000
HOUR = 60
Event = tuple[int, str | None, int]  # minute, key, value


def _window(statistic: Any, **more: Any) -> Window:
    options: dict[str, Any] = {"minutes": HOUR, "by": ("key",)} | more
    return Window("stream", "value", statistic, **options)


def _at_cutoff(events: list[Event], window: Window, key: str | None = "x") -> float | None:
    """The feature of one query at `CUTOFF`; None is missing."""
    table = ibis.memtable(
        pd.DataFrame(events, columns=["at", "key", "value"]),
        schema={"at": "int64", "key": "string", "value": "int64"},
    )
    query = ibis.memtable(
        pd.DataFrame({"row": [0], "cutoff": [CUTOFF], "key": pd.Series([key], dtype=object)}),
        schema={"row": "int64", "cutoff": "int64", "key": "string"},
    )
    compute = latest if window.statistic == "last" else totals
    with connection() as database:
        result = database.to_pyarrow(compute(table, query, {"feature": window}))
    assert result.num_rows == 1
    assert str(result.schema.field("feature").type) == "float"
    value: float | None = result["feature"][0].as_py()
    return value


@pytest.mark.parametrize("statistic", ["mean", "sum", "last"])
@pytest.mark.parametrize("lag", [0, 30])
@pytest.mark.parametrize(("before", "counts"), [(-1, False), (0, True), (59, True), (60, False)])
def test_an_event_counts_up_to_the_end_and_not_at_the_start(
    statistic: str, lag: int, before: int, counts: bool
) -> None:
    found = _at_cutoff([(CUTOFF - lag - before, "x", 8)], _window(statistic, lag=lag))
    assert found == (8 if counts else None)


def test_a_lag_ends_the_window_before_the_cutoff() -> None:
    events: list[Event] = [(CUTOFF - 5, "x", 100), (CUTOFF - 30, "x", 1), (CUTOFF - 80, "x", 4), (CUTOFF - 90, "x", 50)]
    assert _at_cutoff(events, _window("sum", lag=30)) == 5
    assert _at_cutoff(events, _window("mean", lag=30)) == 2.5
    assert _at_cutoff(events, _window("last", lag=30)) == 1


def test_a_divisor_turns_the_unit_of_the_events_into_the_features() -> None:
    events: list[Event] = [(CUTOFF, "x", 7), (CUTOFF - 1, "x", 5)]
    assert _at_cutoff(events, _window("sum", divisor=100)) == pytest.approx(0.12)
    assert _at_cutoff(events, _window("mean", divisor=100)) == pytest.approx(0.06)
    assert _at_cutoff(events, _window("last", divisor=100)) == pytest.approx(0.07)


def test_other_keys_do_not_count_unless_there_is_no_key() -> None:
    events: list[Event] = [(CUTOFF - 1, "x", 1), (CUTOFF - 1, "y", 6), (CUTOFF, None, 2)]
    assert _at_cutoff(events, _window("mean")) == 1
    assert _at_cutoff(events, _window("mean", by=())) == 3
    assert _at_cutoff(events, _window("last")) == 1
    assert _at_cutoff(events, _window("last", by=())) == 2


@pytest.mark.parametrize("statistic", ["mean", "sum", "last"])
def test_an_empty_window_has_the_value_that_the_schema_names(statistic: str) -> None:
    old: list[Event] = [(CUTOFF - HOUR, "x", 9)]
    assert _at_cutoff(old, _window(statistic)) is None
    assert _at_cutoff(old, _window(statistic, empty=0)) == 0


@pytest.mark.parametrize("statistic", ["mean", "sum", "last"])
def test_an_unknown_key_is_not_shared_and_gives_a_missing_value(statistic: str) -> None:
    events: list[Event] = [(CUTOFF, None, 2)]
    assert _at_cutoff(events, _window(statistic), key=None) is None
    assert _at_cutoff(events, _window(statistic, empty=0), key=None) is None


def test_of_several_last_events_in_one_minute_the_greatest_counts() -> None:
    events: list[Event] = [(CUTOFF, "x", 2), (CUTOFF, "x", 5), (CUTOFF, "x", 3), (CUTOFF - 1, "x", 9)]
    assert _at_cutoff(events, _window("last")) == 5


def test_minutes_do_not_depend_on_a_zone() -> None:
    instant = datetime(2013, 7, 4, 5, 15)
    with connection() as database:
        for zone in ("UTC", "Asia/Tokyo"):
            database.raw_sql(f"SET TimeZone = '{zone}'")
            got = database.to_pandas(minute(ibis.memtable(pd.DataFrame({"t": [instant]}))["t"]))
            assert got.tolist() == [(instant - datetime(1970, 1, 1)) // timedelta(minutes=1)]


def test_the_examples_are_true() -> None:
    done = doctest.testmod(rolling)
    assert (done.failed, done.attempted > 0) == (0, True)
