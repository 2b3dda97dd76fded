"""The companion beside the service: it may die and stand still, and clients notice nothing."""

import math
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import psutil

from tests.e2e.process.test_life import command_line, scrape
from tests.support.payloads import records, rows
from tests.support.serving import Server, Store, descendants, start, wait_until


def companion(server: Server) -> int | None:
    """Its pid; None: there is none just now."""
    found = [pid for pid in descendants(server.pid) if command_line(pid)[-1:] == ["companion"]]
    return found[0] if found else None


def logged(server: Server) -> list[str]:
    """The callers' ids in the database, sorted; none where the companion has made no tables yet."""
    path = server.state / "predictions.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'predictions'").fetchone()[0]
        found = database.execute("SELECT request_id FROM predictions") if tables else []
        return sorted(name for (name,) in found)


def ask(server: Server, name: str) -> None:
    assert server.ask("/v1/predict", records(*rows(2), id=name))[0] == 200


def test_a_companion_that_dies_is_started_again_and_its_rows_are_moved(tmp_path: Path, artifact_store: Store) -> None:
    server = start(tmp_path, artifact_store)
    wait_until(lambda: companion(server) is not None, "a companion")
    first = companion(server)
    assert first is not None
    assert psutil.Process(first).nice() == 10
    ask(server, "before")
    os.kill(first, signal.SIGKILL)
    ask(server, "after")
    assert server.is_ready()
    wait_until(lambda: companion(server) not in (None, first), "another companion", 10)
    wait_until(lambda: logged(server) == ["after", "before"], "both requests in the database", 20)
    assert "the companion ended: signal SIGKILL; it is started again in 0.5 s" in server.log()
    assert server.stop() == 0, server.log()


def test_a_companion_that_stands_still_is_told_in_the_metrics(tmp_path: Path, artifact_store: Store) -> None:
    server = start(tmp_path, artifact_store)
    ask(server, "before")
    wait_until(lambda: scrape(server)["windsock_moved_rows_total{}"] == 2, "the first rows in the database")
    found = scrape(server)
    assert (found["windsock_companion_up{}"], found["windsock_database_up{}"]) == (1, 1)
    assert (found["windsock_spool_unmoved_rows{}"], found["windsock_spool_oldest_seconds{}"]) == (0, 0)
    pid = companion(server)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        ask(server, "meanwhile")
        wait_until(lambda: scrape(server)["windsock_companion_up{}"] == 0, "a companion that is missed", 10)
        found = scrape(server)
        assert math.isnan(found["windsock_database_up{}"])
        assert math.isnan(found["windsock_spool_unmoved_rows{}"])
        assert 4 < found["windsock_spool_oldest_seconds{}"] < 30, "what SpoolOld looks at grows"
        assert found["windsock_spool_bytes{}"] > 0
        assert server.is_ready()
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: scrape(server)["windsock_companion_up{}"] == 1, "the companion", 10)
    wait_until(lambda: scrape(server)["windsock_spool_oldest_seconds{}"] == 0, "an empty spool", 10)
    assert logged(server) == ["before", "meanwhile"]
    assert server.stop() == 0, server.log()


def test_at_the_end_the_companion_moves_what_the_workers_wrote_last(tmp_path: Path, artifact_store: Store) -> None:
    server = start(tmp_path, artifact_store, workers=2)
    for number in range(20):
        ask(server, f"{number:02d}")
    assert server.stop() == 0, server.log()
    assert logged(server) == [f"{number:02d}" for number in range(20)]
    assert not list((server.state / "spool").glob("*.spool"))


def test_without_a_companion_the_rows_wait_for_one(tmp_path: Path, artifact_store: Store) -> None:
    """In a pod it is a container of its own, which nobody here starts or waits for."""
    server = start(tmp_path, artifact_store, companion=False)
    ask(server, "waits")
    assert companion(server) is None
    found = scrape(server)
    assert (found["windsock_companion_up{}"], found["windsock_moved_rows_total{}"]) == (0, 0)
    assert found["windsock_spool_oldest_seconds{}"] > 0
    assert server.stop() == 0, server.log()
    assert not (server.state / "predictions.db").exists()
    again = start(tmp_path, artifact_store)
    wait_until(lambda: logged(again) == ["waits"], "the row", 10)
    assert again.stop() == 0, again.log()
