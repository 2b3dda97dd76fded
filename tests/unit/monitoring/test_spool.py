"""The spool and its writer, without a service around them."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from contracts.errors import DataError, ParameterError, Unavailable
from monitoring.log import spool as module
from monitoring.log import writer as writer_module
from monitoring.log.reader import read_predictions
from monitoring.log.spool import LabelRecord, PredictionRecord, Spool
from monitoring.log.tables import LABELS, PREDICTIONS, connect, create_tables, open_database
from monitoring.log.writer import Writer
from monitoring.metrics.declared import Metrics
from tasks.flights.schema import SCHEMA
from tests.support.serving import wait_until

NOON = datetime(2013, 7, 1, 12)


def prediction(name: str, count: int = 1, score: float = 0.5) -> PredictionRecord:
    numbers: list[float | None] = [1.5, None, *[0.1] * (len(SCHEMA.numeric) - 2)]
    strings = ["é", "", *["x"] * (len(SCHEMA.category) - 2)]
    return PredictionRecord(
        name, "d" * 64, "rest", NOON, NOON, 100, [numbers] * count, [strings] * count, [score] * count
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'log.db'}"


@pytest.fixture
def write(tmp_path: Path, url: str) -> Iterator[Callable[[Spool], Writer]]:
    """Starts writers, and stops those that the test did not stop."""
    writers: list[Writer] = []

    def start(spool: Spool) -> Writer:
        writers.append(Writer(spool, open_database(url), Metrics(SCHEMA)))
        writers[-1].start()
        return writers[-1]

    yield start
    for writer in writers:
        if writer.is_running():
            writer.stop(0)


def lose(spool: Spool, writer: Writer, url: str) -> sa.Engine:
    """Take the table of predictions away from a writer at work, which makes tables only once. To be made again."""
    spool.append([LabelRecord("first", 0, True, None, NOON)], 1)
    wait_until(lambda: writer.unmoved_rows() == 0, "the writer's first row")
    engine = sa.create_engine(url)
    PREDICTIONS.drop(engine)
    return engine


def names(url: str) -> list[str]:
    return [str(name) for name in read_predictions(url, datetime(2000, 1, 1), datetime(2100, 1, 1)).request_id]


def test_rows_move_and_files_go(tmp_path: Path, url: str, write: Callable[[Spool], Writer]) -> None:
    spool = Spool(tmp_path / "spool")
    writer = write(spool)
    spool.append([prediction("a", 3)], 3)
    spool.append([prediction("b"), LabelRecord("a", 2, True, None, NOON)], 2)
    writer.stop(30)
    found = read_predictions(url, NOON, datetime(2013, 7, 1, 12, 0, 1))
    assert found.request_id.tolist() == ["a", "a", "a", "b"]
    assert found.numeric.shape == (4, len(SCHEMA.numeric))
    assert np.isnan(found.numeric[0, 1])
    assert found.numeric[0, 2] == np.float32(0.1)
    assert found.category[0, 0] == "é"
    np.testing.assert_array_equal(found.label, [np.nan, np.nan, 1, np.nan])
    assert list((tmp_path / "spool").iterdir()) == []
    assert writer.unmoved_rows() == 0


def test_stopping_moves_what_came_last(
    tmp_path: Path, url: str, write: Callable[[Spool], Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "IDLE_SECONDS", 3_600.0)  # so that nothing but the end makes it look again
    spool = Spool(tmp_path / "spool")
    spool.append([prediction("a")], 1)
    writer = write(spool)
    wait_until(lambda: names(url) == ["a"], "the first row")
    spool.append([prediction("b")], 1)
    writer.stop(30)
    assert names(url) == ["a", "b"]


def test_a_torn_last_line_is_left_out_and_the_rest_is_adopted(
    tmp_path: Path, url: str, write: Callable[[Spool], Writer]
) -> None:
    """A segment as a kill leaves it: whole lines, then a part of one."""
    first = Spool(tmp_path / "spool")
    first.append([prediction("whole")], 1)
    first.append([prediction("torn")], 1)
    segment = first.segments()[-1]
    os.ftruncate(segment.descriptor, segment.size - 20)
    os.close(segment.descriptor)  # as the end of a process does: the lock is gone
    writer = write(Spool(tmp_path / "spool"))
    wait_until(lambda: writer.unmoved_rows() == 0 and names(url) == ["whole"], "the whole line")
    writer.stop(30)
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_segment_that_another_process_holds_is_let_alone(tmp_path: Path) -> None:
    mine = Spool(tmp_path / "spool")
    mine.append([prediction("mine")], 1)
    assert Spool(tmp_path / "spool").adopted == []


def test_reading_twice_counts_once_and_the_first_wins(
    tmp_path: Path, url: str, write: Callable[[Spool], Writer]
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([prediction("a", score=0.25)], 1)
    spool.append([prediction("a", score=0.75)], 1)
    copy = spool.segments()[-1].path.read_bytes()
    write(spool).stop(30)
    (tmp_path / "spool" / "0-0-0.jsonl").write_bytes(copy)  # as after a kill between the database and the delete
    write(Spool(tmp_path / "spool")).stop(30)
    assert read_predictions(url, NOON, datetime(2100, 1, 1)).score.tolist() == [0.25]


def test_a_damaged_line_does_not_hold_up_the_others(
    tmp_path: Path, url: str, write: Callable[[Spool], Writer], caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([prediction("a")], 1)
    (segment,) = spool.segments()
    segment.size += os.write(segment.descriptor, b'{"type": "predic\n')
    spool.append([prediction("b")], 1)
    write(spool).stop(30)
    assert names(url) == ["a", "b"]
    assert "damaged" in caplog.text


def test_long_segments_are_closed_and_deleted(
    tmp_path: Path, url: str, write: Callable[[Spool], Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 2_000)
    spool = Spool(tmp_path / "spool")
    for number in range(40):
        spool.append([prediction(f"{number:02}")], 1)
    assert len(spool.segments()) > 5
    writer = write(spool)
    wait_until(lambda: len(spool.segments()) == 1, "closed segments that are moved and deleted")
    writer.stop(30)
    assert names(url) == [f"{number:02}" for number in range(40)]


def test_a_full_disk_leaves_no_half_line(
    tmp_path: Path, url: str, write: Callable[[Spool], Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that is cut short is an error for its request, and the next one is whole."""
    spool = Spool(tmp_path / "spool")
    real = os.write

    def short(descriptor: int, data: bytes) -> int:
        real(descriptor, data[:50])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        with pytest.raises(OSError, match="No space"):
            spool.append([prediction("lost")], 1)
    spool.append([prediction("kept")], 1)
    write(spool).stop(30)
    assert names(url) == ["kept"]


def test_a_database_that_is_away_is_tried_until_it_is_back(
    tmp_path: Path, url: str, write: Callable[[Spool], Writer]
) -> None:
    spool = Spool(tmp_path / "spool")
    writer = write(spool)
    engine = lose(spool, writer, url)
    spool.append([prediction("a")], 1)
    wait_until(writer.is_waiting, "a failed try")
    assert writer.unmoved_rows() == 1
    PREDICTIONS.create(engine)
    engine.dispose()
    wait_until(lambda: names(url) == ["a"], "the row")


def test_a_database_that_stays_away_keeps_the_rows_in_the_spool(
    tmp_path: Path, url: str, write: Callable[[Spool], Writer], caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "spool")
    writer = write(spool)
    engine = lose(spool, writer, url)
    spool.append([prediction("a", 3)], 3)
    writer.stop(1)
    assert "3 rows are not in the database" in caplog.text
    PREDICTIONS.create(engine)
    engine.dispose()
    again = write(Spool(tmp_path / "spool"))
    again.stop(30)
    assert names(url) == ["a"] * 3


def test_the_end_waits_for_a_database_that_comes_back(
    tmp_path: Path, url: str, write: Callable[[Spool], Writer]
) -> None:
    spool = Spool(tmp_path / "spool")
    writer = write(spool)
    engine = lose(spool, writer, url)
    spool.append([prediction("a")], 1)
    wait_until(writer.is_waiting, "a failed try")
    ending = threading.Thread(target=writer.stop, args=(30,))
    ending.start()
    PREDICTIONS.create(engine)
    engine.dispose()
    ending.join(30)
    assert names(url) == ["a"]
    assert list((tmp_path / "spool").iterdir()) == []


def test_the_age_of_the_oldest_row_is_known_and_an_adopted_row_keeps_its_own(
    tmp_path: Path, url: str, write: Callable[[Spool], Writer]
) -> None:
    first = Spool(tmp_path / "spool")
    assert first.oldest() is None
    first.append([prediction("a")], 1)
    os.close(first.segments()[-1].descriptor)
    spool = Spool(tmp_path / "spool")
    spool.append([prediction("b")], 1)
    assert spool.oldest() == NOON
    writer = write(spool)
    wait_until(lambda: writer.unmoved_rows() == 0 and len(names(url)) == 2, "both rows")
    assert spool.oldest() is None
    assert writer.oldest_seconds() == 0


def test_database_must_be_one_we_know_and_take_writes(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="SQLite's or PostgreSQL's, got `oracle`"):
        open_database("oracle://host/log")
    with pytest.raises(Unavailable, match="must take writes"):
        open_database(f"sqlite:///{tmp_path}")
    with pytest.raises(Unavailable, match="must take writes") as caught:
        open_database("postgresql+nodriver://user:hunter2@127.0.0.1:9/log")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(Unavailable, match="must take writes"):
        open_database("no url")
    with pytest.raises(DataError, match="must be a prediction log"):
        read_predictions(f"sqlite:///{tmp_path / 'none.db'}", NOON, NOON)


def test_a_server_that_is_away_is_told_of_and_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    engine = open_database("postgresql+psycopg://user:hunter2@127.0.0.1:9/log")
    engine.dispose()
    assert "the prediction log is unreachable, rows will wait in the spool: connection failed" in caplog.text
    assert "hunter2" not in caplog.text


def test_the_writer_makes_the_tables_of_a_database_that_was_away(tmp_path: Path, url: str) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([prediction("a")], 1)
    writer = Writer(spool, connect(url), Metrics(SCHEMA))
    writer.start()
    writer.stop(30)
    assert names(url) == ["a"]


def test_services_that_start_at_once_make_the_tables_together(url: str) -> None:
    """On PostgreSQL: tests/e2e/cluster."""
    engines = [connect(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(create_tables, engines)) == [None] * 4
    for engine in engines:
        engine.dispose()


def test_inserts_are_written_for_postgresql_too() -> None:
    from sqlalchemy.dialects import postgresql

    for table in (PREDICTIONS, LABELS):
        statement = postgresql.insert(table).on_conflict_do_nothing()
        text = str(statement.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call] # SQLAlchemy's
        assert "ON CONFLICT DO NOTHING" in text


def test_writer_looks_at_nothing_behind_what_was_appended_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([prediction("whole")], 1)
    (segment,) = spool.segments()
    line = segment.path.read_bytes()
    with segment.path.open("ab") as file:
        file.write(line)  # there, but not yet said to be there
    assert [[r.request_id for r in chunk] for chunk, _ in writer_module._chunks(segment)] == [["whole"]]
