"""Windows at their edges, on hand-made events."""

from datetime import datetime, timedelta

import ibis
import pandas as pd
import pytest

from pipelines.rolling import HOUR, Rolling, line, mean, minute, of_queries, total
from pipelines.stages import featurize

CUTOFF = 10_000


def _at_cutoff(events: list[tuple[int, str | None, int]], by: tuple[str, ...], key: str | None = "x") -> pd.DataFrame:
    """Mean and sum over the last hour before one query at `CUTOFF`. Events: minute, key, value."""
    table = ibis.memtable(
        pd.DataFrame(events, columns=["at", "key", "value"]),
        schema={"at": "int64", "key": "string", "value": "int64"},
    )
    query = ibis.memtable(
        pd.DataFrame({"row": [0], "cutoff": [CUTOFF], "key": pd.Series([key], dtype=object)}),
        schema={"row": "int64", "cutoff": "int64", "key": "string"},
    )
    joined = line(table, query, ["key"], ["value"])
    rolling = Rolling("hour", by, HOUR)
    wanted = of_queries(joined, {"mean": mean(joined, "value", rolling), "total": total(joined, "value", rolling)})
    with featurize.connection() as database:
        result: pd.DataFrame = database.to_pandas(wanted)
    assert len(result) == 1
    return result


@pytest.mark.parametrize(
    ("at", "counts"),
    [(CUTOFF + 1, False), (CUTOFF, True), (CUTOFF - 59, True), (CUTOFF - 60, False)],
)
def test_an_event_counts_up_to_the_cutoff_and_not_at_the_windows_start(at: int, counts: bool) -> None:
    result = _at_cutoff([(at, "x", 8)], ("key",))
    assert result["mean"].notna().tolist() == [counts]
    assert result["total"].notna().tolist() == [counts]


def test_other_keys_do_not_count_unless_there_is_no_key() -> None:
    events: list[tuple[int, str | None, int]] = [(CUTOFF - 1, "x", 1), (CUTOFF - 1, "y", 6), (CUTOFF, None, 2)]
    assert _at_cutoff(events, ("key",))["mean"].tolist() == [1.0]
    assert _at_cutoff(events, ())["mean"].tolist() == [3.0]


def test_an_unknown_key_is_not_shared() -> None:
    assert _at_cutoff([(CUTOFF, None, 2)], ("key",), key=None)["mean"].isna().all()


def test_minutes_do_not_depend_on_a_zone() -> None:
    instant = datetime(2013, 7, 4, 5, 15)
    with featurize.connection() as database:
        for zone in ("UTC", "Asia/Tokyo"):
            database.raw_sql(f"SET TimeZone = '{zone}'")
            got = database.to_pandas(minute(ibis.memtable(pd.DataFrame({"t": [instant]}))["t"]))
            assert got.tolist() == [(instant - datetime(1970, 1, 1)) // timedelta(minutes=1)]
