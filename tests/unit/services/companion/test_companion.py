"""`windsock companion` as a process: one a folder, ended in order or killed at any moment, alone with its imports."""

import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from contracts.settings import ServiceSettings, load
from contracts.store.state import Desired
from monitoring.log import database
from monitoring.log.database import open_log, opened
from monitoring.log.desired import append_desired, replicas
from monitoring.log.insert import insert
from monitoring.log.schema import DAY_US
from monitoring.spool.spool import Spool
from services.companion import companion
from services.companion.companion import engine_of
from tests.support.serving import Store, free_ports, wait_until
from tests.unit.services.companion.conftest import NOW_US, Start, frame, ids, label, prediction, write_replica

KILLS = 20


def test_it_is_killed_twenty_times_while_a_worker_appends(tmp_path: Path, start: Start) -> None:
    """Each row is in the database once: none is lost, none stands there twice."""
    acknowledged: list[str] = []
    over = threading.Event()

    def append() -> None:
        while not over.is_set():
            spool = Spool(tmp_path / "state/spool", 2**30)  # as a worker that is started anew: another segment
            for _ in range(2_000):
                names = [f"{len(acknowledged) + place:09d}" for place in range(3)]
                spool.append(b"".join(frame(name, 2) for name in names) + label(names[0]), 7)
                acknowledged.extend(names)
                time.sleep(0.0005)
            spool.close()

    worker = threading.Thread(target=append)
    worker.start()
    draw = random.Random(7)  # noqa: S311 - moments, no secrets
    try:
        for _ in range(KILLS):
            running = start()
            time.sleep(draw.uniform(0, 0.4))
            running.process.kill()
            running.process.wait()
    finally:
        over.set()
        worker.join()
    last = start()
    last.process.terminate()
    assert last.process.wait(30) == 0, last.said()
    url = f"sqlite:///{tmp_path / 'state/predictions.db'}"
    assert len(acknowledged) > 3_000
    assert ids(url) == acknowledged
    assert ids(url, "labels") == [f"label-{name}" for name in acknowledged[::3]]
    assert list((tmp_path / "state/spool").glob("*.spool")) == []
    assert not (tmp_path / "state/spool/bad").exists()


def test_at_the_end_it_moves_what_is_left(tmp_path: Path, start: Start) -> None:
    running = start()
    spool = Spool(tmp_path / "state/spool", 2**30)
    for number in range(20_000):
        spool.append(frame(f"{number:06d}"), 1)
    running.process.terminate()
    assert running.process.wait(20) == 0
    assert len(ids(f"sqlite:///{tmp_path / 'state/predictions.db'}")) == 20_000
    assert "20000 rows moved" in running.said()
    assert "rows are not in the database" not in running.said()


def test_at_the_end_an_unreachable_database_is_tried_for_the_flush_s_time(tmp_path: Path, start: Start) -> None:
    spool = Spool(tmp_path / "state/spool", 2**30)
    spool.append(frame("a", 3), 3)
    (port,) = free_ports(1)
    running = start(database_url=f"postgresql+psycopg://u:secret@127.0.0.1:{port}/d", flush_seconds=1)
    wait_until(lambda: bool((found := running.status()) and found.unmoved_rows == 3), "the rows must be counted", 5)
    status = running.status()
    assert status is not None
    assert not status.database_up
    began = time.monotonic()
    running.process.terminate()
    assert running.process.wait(10) == 0
    assert 0.8 < time.monotonic() - began < 4
    assert "3 rows are not in the database; they stay in the spool" in running.said()
    assert "secret" not in running.said()
    assert "Traceback" not in running.said()


def test_a_second_one_on_the_same_state_says_so(tmp_path: Path, start: Start) -> None:
    start()
    second = start(wait=False)
    assert second.process.wait(20) == 1
    assert "must have one companion, got another one that runs" in second.said()
    assert "Traceback" not in second.said()


def test_one_that_is_ending_is_waited_for(tmp_path: Path, start: Start) -> None:
    first = start()
    second = start(wait=False)
    time.sleep(2)
    assert second.process.poll() is None
    first.process.terminate()
    wait_until(lambda: second.status() is not None, "the second one must take over", 10)
    assert first.process.wait(10) == 0


def test_a_database_that_will_never_do_is_refused_at_the_start(tmp_path: Path, start: Start) -> None:
    (tmp_path / "file").write_text("")
    running = start(wait=False, database_url=f"sqlite:///{tmp_path / 'file/predictions.db'}")
    assert running.process.wait(20) == 1
    assert "the prediction log" in running.said()
    assert "Traceback" not in running.said()


def test_it_tells_how_the_log_moves(tmp_path: Path, start: Start) -> None:
    running = start()
    spool = Spool(tmp_path / "state/spool", 2**30)
    damaged = bytearray(frame("b"))
    damaged[-1] ^= 1
    spool.append(frame("a", 5) + bytes(damaged) + frame("c"), 7)
    wait_until(lambda: bool((found := running.status()) and found.moved_rows == 6), "the rows must be moved", 5)
    status = running.status()
    assert status is not None
    assert (status.database_up, status.unmoved_rows, status.oldest_us, status.damaged) == (True, 0, 0, 1)
    before = status.at
    wait_until(lambda: bool((found := running.status()) and found.at > before), "it must be told again", 1.5)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state/predictions.db'}"
    found: str = request.getfixturevalue("postgres")
    return found


def test_connections_that_break_lose_nothing(tmp_path: Path, start: Start, postgres: str) -> None:
    start(database_url=postgres)
    spool = Spool(tmp_path / "state/spool", 2**30)
    names = [f"{number:06d}" for number in range(6_000)]
    for number, name in enumerate(names):
        spool.append(frame(name), 1)
        if number % 600 == 0:
            with opened(postgres) as engine, engine.begin() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
    wait_until(lambda: len(ids(postgres)) == len(names), "all rows must be moved", 20)
    assert ids(postgres) == names


def test_a_database_that_dies_while_nobody_writes_is_seen(start: Start, postgres: str) -> None:
    """At night no row comes; who is on call hears of it all the same, and of its return."""
    running = start(database_url=postgres)

    def is_up() -> bool | None:
        status = running.status()
        return None if status is None else status.database_up

    wait_until(lambda: is_up() is True, "it must be up", 20)
    time.sleep(1.0)
    name = sa.make_url(postgres).database
    # From another database of the server: this one takes nobody.
    other = sa.create_engine(sa.make_url(postgres).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608 - ours
        wait_until(lambda: is_up() is False, "it must be seen to be away", 20)
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    wait_until(lambda: is_up() is True, "it must be seen to be back", 20)
    other.dispose()


def test_roles_and_replicas_pass_through_it(start: Start, artifact_store: Store, url: str) -> None:
    running = start(database_url=url)
    base = artifact_store.digest
    with opened(url) as engine:
        said = append_desired(engine, Desired(champion=base, shadow=base, base=base), 1, "tests", "")
        wait_until(lambda: running.state.read_desired() == said, "the row must become a file", 1)
        write_replica(running.state, 1, sequence=said.sequence)
        wait_until(
            lambda: [replica.state.sequence for replica in replicas(engine, 0)] == [said.sequence],
            "the worker's state must be in the database",
            1,
        )


@pytest.mark.parametrize(("fsync", "synchronous"), [("off", 1), ("interval", 2), ("each", 2)])
def test_what_the_spool_forced_to_disk_the_database_does_too(tmp_path: Path, fsync: str, synchronous: int) -> None:
    """A segment goes once its rows are in the database: a commit that a power loss undoes would lose them."""
    engine = engine_of(load(ServiceSettings, state=tmp_path, spool_fsync=fsync))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
    engine.dispose()


def test_old_rows_of_sqlite_are_deleted(tmp_path: Path, start: Start) -> None:
    url = f"sqlite:///{tmp_path / 'state/predictions.db'}"
    days = {"old": 9, "kept": 5}
    with opened(url) as engine:
        open_log(url).dispose()
        insert(engine, [prediction(name, received_us=NOW_US - ago * DAY_US) for name, ago in days.items()])
    start(retention_days=7)
    wait_until(lambda: ids(url) == ["kept"], "the old row must go", 10)


@pytest.mark.parametrize("module", ["services.companion.companion", "cli.service"])
def test_its_imports_have_no_model_and_no_server(module: str) -> None:
    heavy = {"onnxruntime", "bentoml", "grpc", "mlflow", "pandas", "torch", "starlette"}
    code = f"import sys, {module}; found = {heavy} & set(sys.modules); sys.exit(str(found) if found else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_file_that_another_process_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    open_log(url).dispose()
    monkeypatch.setattr(database, "_set_pragmas", lambda connection, _: connection.execute("PRAGMA busy_timeout=10"))
    lock = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    with closing(lock):
        companion._check(url)
    assert "database is locked; " in caplog.text
    assert "rows wait in the spool meanwhile" in caplog.text
