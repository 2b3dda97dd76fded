"""Rows come back as they were written, joined with the label that counts."""

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from contracts.errors import DataError
from monitoring.log.insert import Record, insert
from monitoring.log.newest import newest_before, newest_models
from monitoring.log.reader import read_newest, read_predictions
from monitoring.log.schema import from_us, to_us
from monitoring.log.upkeep.retention import count_orphans
from tests.unit.monitoring.log.conftest import DIGEST, NOW_US, label, prediction
from tests.unit.monitoring.test_other_task import TEA  # one number, one category

LONG_AGO, FAR = datetime(2000, 1, 1), datetime(2100, 1, 1)
NOW = from_us(NOW_US)


def labels(url: str, roles: tuple[str, ...] = ("champion", "challenger")) -> dict[str, list[float | None]]:
    """Request id -> labels of its rows; None: none."""
    found = read_predictions(url, LONG_AGO, FAR, roles=roles)
    read: dict[str, list[float | None]] = {}
    for name, value in zip(found.request_id.tolist(), found.label.tolist(), strict=True):
        read.setdefault(name, []).append(None if np.isnan(value) else value)
    return read


def test_rows_come_back_as_they_were_sent(engine: sa.Engine, url: str) -> None:
    numeric = np.array([[1.5, np.nan], [-0.0, 3e38], [7, 8]], "<f4")
    sent = prediction(
        "a", rows=3, numeric=numeric.tobytes(), category="\0é\0x\0\0\0".encode(), role="challenger",
        event_us=NOW_US - 5, protocol="grpc", score=np.array([0.1, 0.2, 0.3], "<f4").tobytes(),
    )  # fmt: skip
    insert(engine, [prediction("later", event_us=NOW_US + 1), sent])
    found = read_predictions(url, LONG_AGO, FAR)
    assert found.request_id.tolist() == ["a", "a", "a", "later"]
    np.testing.assert_array_equal(found.numeric[:3], numeric)
    assert found.category.tolist() == [["", "é"], ["x", ""], ["", ""], ["UA", "EWR"]]
    np.testing.assert_array_equal(found.score[:3], np.array([0.1, 0.2, 0.3], np.float32))
    assert found.digest.tolist() == [DIGEST] * 4
    assert found.role.tolist() == ["challenger"] * 3 + ["champion"]
    assert found.protocol.tolist() == ["grpc"] * 3 + ["rest"]
    assert found.event_time[0] == np.datetime64(NOW - timedelta(microseconds=5))
    assert found.received_at[0] == np.datetime64(NOW)
    assert found.duration_us.tolist() == [400] * 4
    assert np.isnan(found.label).all()
    assert (found.other_inputs, found.repeated_ids) == (0, 0)
    assert [str(column.dtype) for column in (found.numeric, found.score, found.duration_us)] == [
        "float32", "float64", "int64"
    ]  # fmt: skip


def test_the_span_is_half_open_and_of_the_caller_s_clock(engine: sa.Engine, url: str) -> None:
    insert(engine, [prediction(f"{i}", event_us=NOW_US + i) for i in range(4)])
    span = (NOW + timedelta(microseconds=1), NOW + timedelta(microseconds=3))
    assert read_predictions(url, *span).request_id.tolist() == ["1", "2"]
    assert len(read_predictions(url, FAR, FAR).score) == 0
    assert newest_before(url, span[1]) == NOW + timedelta(microseconds=2)
    assert newest_before(url, LONG_AGO) is None


def test_the_newest_label_counts_and_it_may_come_first(engine: sa.Engine, url: str) -> None:
    hour = 3_600_000_000
    insert(engine, [label("a", True, row=1, received_us=NOW_US - hour), label("b", True)])  # before the prediction
    insert(engine, [prediction("a", rows=3), prediction("b"), label("b", False, received_us=NOW_US + 2 * hour)])
    insert(engine, [label("b", True, id="label-old", received_us=NOW_US)])  # arrives late, was told before
    assert labels(url) == {"a": [None, 1.0, None], "b": [0.0]}


def test_of_labels_of_one_instant_the_last_of_the_request_counts(engine: sa.Engine, url: str) -> None:
    insert(engine, [prediction("a"), label("a", False, id="x0000002"), label("a", True, id="x0000001")])
    assert labels(url) == {"a": [0.0]}


def test_a_repeated_id_is_kept_and_counted_and_its_label_is_the_newest_s(engine: sa.Engine, url: str) -> None:
    first = prediction("a", rows=3)
    again = prediction("a", id="ours-again", received_us=NOW_US + 1, event_us=NOW_US + 1)
    insert(engine, [first, again, prediction("b"), label("a", True), label("a", True, row=2)])
    found = read_predictions(url, LONG_AGO, FAR)
    assert found.repeated_ids == 1
    assert found.request_id.tolist().count("a") == 4
    assert labels(url) == {"a": [None, None, 1.0, 1.0], "b": [None]}  # row 2 only the first has


@pytest.mark.parametrize("again", [False, True], ids=["each id once", "an id twice"])
def test_labels_of_a_few_among_those_of_many(engine: sa.Engine, url: str, again: bool) -> None:
    """Where most labels are of others, they are looked up and not read."""
    others: list[Record] = [prediction(f"other{i}", event_us=NOW_US - 99) for i in range(40)]
    insert(engine, [*others, *(label(f"other{i}", True) for i in range(40))])
    insert(engine, [prediction("a", rows=2), prediction("b"), label("a", True, row=1), label("b", True)])
    insert(engine, [label("b", False, received_us=NOW_US + 7_200_000_000)])
    if again:
        insert(engine, [prediction("b", id="ours-again", received_us=NOW_US + 1, event_us=NOW_US + 1)])
    found = read_predictions(url, NOW, FAR)
    expected = [np.nan, 1, np.nan, 0] if again else [np.nan, 1, 0]
    assert (found.request_id.tolist(), found.repeated_ids) == (["a", "a", "b", "b"][: len(expected)], int(again))
    np.testing.assert_array_equal(found.label, expected)


def test_many_origins_are_told_apart(engine: sa.Engine, url: str) -> None:
    """More of them than have a code of one character, and some that come late."""
    digests = [f"{i:064x}" for i in range(40)]
    insert(engine, [prediction(f"{i:02d}", digest=digest, event_us=NOW_US + i) for i, digest in enumerate(digests)])
    rest: list[Record] = [prediction(f"x{i}", event_us=NOW_US + 100 + i) for i in range(2_500)]
    insert(engine, [*rest, prediction("last", digest="f" * 64, protocol="grpc", event_us=NOW_US + 9_999)])
    found = read_predictions(url, LONG_AGO, FAR)
    assert found.digest[:40].tolist() == digests
    assert set(found.digest[40:-1]) == {DIGEST}
    assert (found.digest[-1], found.protocol[-1], found.role[-1]) == ("f" * 64, "grpc", "champion")


def test_one_id_for_everything_is_read_in_no_time(engine: sa.Engine, url: str) -> None:
    same: list[Record] = [prediction("a", id=f"ours-{i}", received_us=NOW_US + i) for i in range(3_000)]
    insert(engine, [*same, *(label("a", True, row=i) for i in range(300))])
    found = read_predictions(url, LONG_AGO, FAR)
    assert (found.repeated_ids, int(np.isfinite(found.label).sum())) == (2_999, 1)
    assert found.label[-1] == 1


def test_a_shadow_is_read_when_it_is_asked_for(engine: sa.Engine, url: str) -> None:
    shadow = prediction("a", rows=2, digest="e" * 64, role="shadow", received_us=NOW_US + 9, event_us=NOW_US + 9)
    insert(engine, [prediction("a", rows=2), shadow, label("a", True, row=1)])
    assert labels(url) == {"a": [None, 1.0]}
    assert labels(url, roles=("shadow",)) == {"a": [None, 1.0]}
    both = read_predictions(url, LONG_AGO, FAR, roles=("champion", "challenger", "shadow"))
    assert (both.role.tolist(), both.repeated_ids) == (["champion"] * 2 + ["shadow"] * 2, 0)
    np.testing.assert_array_equal(both.label, [np.nan, 1, np.nan, 1])
    assert newest_models(url, 10) == {DIGEST}


def test_orphans_are_kept_and_counted(engine: sa.Engine, url: str) -> None:
    insert(engine, [prediction("a", rows=2), label("a", True, row=1), label("a", True, row=2), label("who", True)])
    assert count_orphans(url, LONG_AGO, FAR) == 2
    assert count_orphans(url, LONG_AGO, NOW) == 0
    insert(engine, [prediction("who", received_us=NOW_US + 5)])
    assert count_orphans(url, LONG_AGO, FAR) == 1
    assert labels(url)["who"] == [1.0]


def test_the_newest_rows_of_one_model(engine: sa.Engine, url: str) -> None:
    tea = {"numeric": np.arange(2, dtype="<f4").tobytes(), "category": b"Assam\0"}
    mine: list[Record] = [prediction(f"{i}", rows=2, received_us=NOW_US + i, **tea) for i in range(5)]
    other = prediction("other", rows=2, digest="e" * 64, received_us=NOW_US + 99, **tea)
    insert(engine, [*mine, other, label("4", True, row=1), label("3", True)])
    found = read_newest(url, DIGEST, NOW + timedelta(microseconds=2), 5, TEA)
    assert sorted(found.request_id.tolist()) == ["2", "3", "3", "4", "4"]
    assert np.isfinite(found.label).sum() == 2
    assert sorted(read_newest(url, DIGEST, NOW, 100, TEA).request_id.tolist()) == sorted("0011223344")
    assert newest_models(url, 1) == {"e" * 64}
    assert newest_models(url, 2) == {"e" * 64, DIGEST}


def test_rows_of_another_width_are_left_out_and_counted(engine: sa.Engine, url: str) -> None:
    tea = prediction("tea", numeric=np.ones(1, "<f4").tobytes(), category=b"Assam")
    insert(engine, [prediction("a", rows=3), tea, label("tea", True), label("a", True)])
    found = read_predictions(url, LONG_AGO, FAR, TEA)
    assert (found.request_id.tolist(), found.label.tolist(), found.other_inputs) == (["tea"], [1.0], 3)
    with pytest.raises(DataError, match=r"must be of one schema, got \[\(1, 1\), \(2, 2\)\] numbers and categories"):
        read_predictions(url, LONG_AGO, FAR)


@pytest.mark.parametrize("category", [b"", b"\0"])
def test_rows_whose_categories_are_all_missing(engine: sa.Engine, url: str, category: bytes) -> None:
    rows = len(category) + 1
    insert(engine, [prediction("a", rows=rows, numeric=np.ones(rows, "<f4").tobytes(), category=category)])
    assert read_predictions(url, LONG_AGO, FAR, TEA).category.tolist() == [[""]] * rows


def test_no_log_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must be a prediction log, got no tables; start the service once"):
        read_predictions(f"sqlite:///{tmp_path / 'none.db'}", LONG_AGO, FAR)
    sqlite3.connect(tmp_path / "x.db").close()
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match="not a database"):
        read_predictions(f"sqlite:///{tmp_path / 'x.db'}", LONG_AGO, FAR)


def test_instants_are_utc_to_the_microsecond() -> None:
    assert to_us(datetime(1970, 1, 1, 0, 0, 0, 1)) == 1
    assert to_us(datetime.fromisoformat("1970-01-01T02:00+02:00")) == 0
    assert to_us(datetime(1969, 12, 31, 23, 59, 59, 999_999)) == -1
    assert from_us(to_us(FAR)) == FAR
