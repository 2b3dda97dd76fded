"""Records reach the database once, many at a time, and one that it refuses holds up no other."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from contracts.errors import DataError, ParameterError, Unavailable
from monitoring.log.database import open_log
from monitoring.log.insert import Record, insert
from monitoring.log.schema import LABELS, PREDICTIONS
from monitoring.spool.frames import Prediction
from tests.unit.monitoring.log.conftest import DIGEST, NOW_US, count, label, prediction


def test_a_request_is_one_row_with_its_bytes_as_they_came(engine: sa.Engine) -> None:
    sent = prediction("a", rows=3, numeric=b"\0\x80\xff\n" * 6, category=b"\0\0\0\xc3\xa9\0\0")
    assert insert(engine, [sent, label("a", True, row=2, outcome_us=5)]) == []
    with engine.connect() as connection:
        (row,) = connection.execute(sa.select(PREDICTIONS)).mappings()
        (told,) = connection.execute(sa.select(LABELS)).mappings()
    for name in Prediction.__struct_fields__:
        assert row[name] == getattr(sent, name), name
    assert (row["first_row"], row["format"]) == (0, 2)
    assert dict(told) == {
        "request_id": "a", "row": 2, "received_us": NOW_US + 3_600_000_000, "id": "label-a-2-True", "value": True,
        "outcome_us": 5, "caller": "demo",
    }  # fmt: skip


def test_a_request_that_came_again_under_our_id_is_one_row(engine: sa.Engine) -> None:
    insert(engine, [prediction("a"), prediction("a", received_us=NOW_US + 5_000_000, duration_us=1)])
    assert insert(engine, [prediction("a", received_us=NOW_US + 9_000_000)]) == []
    assert count(engine, "predictions") == 1


def test_a_repeat_is_harmless_and_another_model_or_id_is_another_row(engine: sa.Engine) -> None:
    records: list[Record] = [prediction("a"), prediction("a", digest="e" * 64, role="shadow"), label("a", True)]
    again = prediction("a", id="ours-again", received_us=NOW_US + 1)
    for _ in range(2):
        assert insert(engine, [*records, *records, again]) == []
    assert (count(engine, "predictions"), count(engine, "labels")) == (3, 1)


def test_a_correction_is_kept_beside_the_first_label(engine: sa.Engine) -> None:
    insert(engine, [label("a", True), label("a", False, received_us=NOW_US + 7_200_000_000)])
    assert count(engine, "labels") == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"score": b""},
        {"rows": 0},
        {"score": None},
        {"numeric": b"123"},
        {"received_us": 2**64 - 1},
    ],
    ids=lambda fault: "-".join(fault),
)
def test_a_refused_row_is_handed_back_and_all_others_are_in(engine: sa.Engine, fault: dict[str, Any]) -> None:
    records: list[Record] = [prediction(f"r{i}") for i in range(50)]
    records[17] = prediction("bad", **fault)
    records[41] = label("bad", True, row=-1)
    refused = insert(engine, records)
    assert [one.index for one in refused] == [17, 41]
    assert all(one.why and "\n" not in one.why for one in refused)
    assert count(engine, "predictions") == 48
    assert insert(engine, records) == refused  # and again


def test_what_only_postgresql_refuses(postgres: str) -> None:
    engine = open_log(postgres)
    faults: list[Record] = [
        prediction("a\0b"),
        prediction("long", request_id="x" * 129),
        label("long" * 50, True),
    ]
    records: list[Record] = [prediction("a"), *faults, prediction("z")]
    assert [one.index for one in insert(engine, records)] == [1, 2, 3]
    assert count(engine, "predictions") == 2
    assert not any("UA" in one.why for one in insert(engine, records))  # no inputs in what is logged
    engine.dispose()


def test_a_database_that_is_away_refuses_no_row(tmp_path: Path, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE labels RENAME TO elsewhere")
    with pytest.raises(Unavailable, match="must answer and take writes"):
        insert(engine, [label("a", True)])
    away = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", connect_args={"connect_timeout": 1})
    with pytest.raises(Unavailable, match="must answer and take writes"):
        insert(away, [prediction("a")])


def test_a_locked_sqlite_file_is_away_not_wrong(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    engine, other = open_log(url), sa.create_engine(url)
    with engine.connect() as first:
        first.exec_driver_sql("PRAGMA busy_timeout=50")
    with other.connect() as lock:
        lock.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            insert(engine, [prediction("a")])
    assert insert(engine, [prediction("a")]) == []
    engine.dispose()
    other.dispose()


def test_tables_are_made_once_and_known_again(url: str) -> None:
    for _ in range(2):
        engine = open_log(url)
        insert(engine, [prediction("a")])
        assert count(engine, "predictions") == 1
        engine.dispose()


def test_tables_of_a_later_version_are_refused(engine: sa.Engine, url: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '3'")
    with pytest.raises(DataError, match="must be of version 2, got the newer 3; update this program"):
        open_log(url)


@pytest.mark.parametrize("address", ["mysql://x/y", "nonsense"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ParameterError, match="`database_url` must be"):
        open_log(address)


def test_a_file_that_takes_no_writes_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "log.db").mkdir()
    with pytest.raises(Unavailable, match="unable to open"):
        open_log(f"sqlite:///{tmp_path / 'log.db'}")


def test_copies_of_one_digest_are_one_key(engine: sa.Engine) -> None:
    assert insert(engine, [prediction("a", digest=DIGEST)] * 3) == []
    assert count(engine, "predictions") == 1
