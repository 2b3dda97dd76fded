"""A log that an earlier version wrote is refused, and renewed by `windsock log migrate` without a loss."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import DataError
from monitoring.log.migrate import refuse_old_lines
from monitoring.log.reader import read_predictions
from monitoring.log.tables import open_database
from tests.support.old_log import write_old_log, write_old_segments, write_old_tables
from tests.support.payloads import records, rows
from tests.support.serving import Store, free_ports, start

LONG_AGO, FAR = datetime(2000, 1, 1), datetime(2100, 1, 1)
# Kills itself right after the n-th of its changes, of which the statements of the database and the renames are.
KILLED = """
import os, pathlib, signal, sys
import sqlalchemy as sa
left = [int(sys.argv.pop(1))]
def count():
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
@sa.event.listens_for(sa.Engine, "after_cursor_execute")
def executed(connection, cursor, statement, *_):
    if statement.startswith("ALTER"):
        count()
real = pathlib.Path.replace
def replace(self, target):
    count()
    real(self, target)
    count()
pathlib.Path.replace = replace
from cli import main
main()
"""
CHANGES = 2 + 2 * 2  # two columns; two segments, before and after each rename


def migrate(state: Path, *options: str, killed_after: int | None = None) -> "subprocess.CompletedProcess[str]":
    command = ["-m", "cli"] if killed_after is None else ["-c", KILLED, str(killed_after)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WINDSOCK_")}
    return subprocess.run(
        [sys.executable, *command, "log", "migrate", "--state", str(state), *options],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def found_labels(url: str) -> dict[str, float]:
    found = read_predictions(url, LONG_AGO, FAR)
    return dict(zip(found.request_id.tolist(), found.label.tolist(), strict=True))


def assert_refused(folder: Path, store: Store) -> str:
    server = start(folder, store, wait=False)
    assert server.process.wait(timeout=60) == 1
    (line,) = [line for line in server.log().splitlines() if line.startswith("Error: ")]
    assert "`windsock log migrate`" in line
    return line


def test_an_old_log_is_refused_then_migrated_then_served(tmp_path: Path, artifact_store: Store) -> None:
    old = write_old_log(tmp_path / "state")
    before = old.content()
    assert "1-1-0.jsonl" in assert_refused(tmp_path, artifact_store)
    assert old.content() == before
    done = migrate(old.state)
    assert (done.returncode, done.stdout.splitlines()) == (
        0, ["columns of the database: renamed", "segments of the spool: 2 rewritten"]
    ), done.stderr  # fmt: skip
    again = migrate(old.state)
    assert (again.returncode, "nothing to migrate" in again.stdout) == (0, True)
    server = start(tmp_path, artifact_store)
    assert server.ask("/v1/predict", records(*rows(1), id="new"))[0] == 200
    assert server.ask("/v1/labels", {"labels": [{"id": "db-none", "value": True}]})[0] == 200
    assert server.stop() == 0, server.log()
    assert "damaged and skipped" in server.log()
    np.testing.assert_equal(found_labels(server.database_url), old.labels | {"new": np.nan, "db-none": 1.0})
    assert not list((old.state / "spool").iterdir())


def test_an_old_database_alone_is_refused_and_the_monitor_says_the_same(tmp_path: Path, artifact_store: Store) -> None:
    (tmp_path / "state").mkdir()
    url = f"sqlite:///{tmp_path / 'state/predictions.db'}"
    write_old_tables(url)
    assert "must have value, outcome_at, got the columns" in assert_refused(tmp_path, artifact_store)
    with pytest.raises(DataError, match="`windsock log migrate`"):
        read_predictions(url, LONG_AGO, FAR)
    with pytest.raises(DataError, match="`windsock log migrate`"):
        open_database(url)


@pytest.mark.parametrize("change", range(1, CHANGES + 1))
def test_killed_in_the_middle_each_part_is_old_or_new_and_the_next_run_ends_it(tmp_path: Path, change: int) -> None:
    old = write_old_log(tmp_path / "state")
    new = write_old_log(tmp_path / "new")
    assert migrate(new.state).returncode == 0
    before, after = old.content(), new.content()
    killed = migrate(old.state, killed_after=change)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = {name: part for name, part in old.content().items() if not name.startswith(".")}
    assert left.keys() == before.keys()
    for name, part in left.items():
        assert part in (before[name], after[name]), name
    assert migrate(old.state).returncode == 0
    assert {name: part for name, part in old.content().items() if not name.startswith(".")} == after


def test_a_log_that_is_in_use_is_not_touched(tmp_path: Path) -> None:
    old = write_old_log(tmp_path / "state")
    before = old.content()
    with old.segments[-1].open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = migrate(old.state)
    assert done.returncode == 1
    assert "must be held by no service" in done.stderr
    assert old.content() == before


def test_labels_that_no_name_fits_are_left_as_they_are(tmp_path: Path) -> None:
    write_old_segments(tmp_path / "spool")
    (first, _) = sorted((tmp_path / "spool").iterdir())
    first.write_bytes(first.read_bytes().replace(b'"late"', b'"tardy"'))
    before = first.read_bytes()
    done = migrate(tmp_path)
    assert done.returncode == 1
    assert "correct the line or take it out" in done.stderr
    assert first.read_bytes() == before
    with pytest.raises(DataError, match=r"1-1-0\.jsonl"):
        refuse_old_lines(tmp_path / "spool")


@pytest.fixture
def postgres() -> Iterator[str]:
    """A server of its own, from the programs of this machine."""
    program = shutil.which("postgres")
    if program is None or not (Path(program).resolve().parent / "initdb").exists():
        pytest.skip("PostgreSQL is not installed")
    programs, user = Path(program).resolve().parent, "postgres" if os.geteuid() == 0 else None
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        make: list[str | Path] = [
            programs / "initdb",
            "--pgdata",
            folder / "data",
            "--username",
            "windsock",
            "--auth",
            "trust",
        ]
        subprocess.run(make, user=user, cwd=folder, check=True, capture_output=True)
        address = ["-h", "127.0.0.1", "-p", str(port), "-k", name, "-c", "fsync=off"]
        server = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", *address], user=user, cwd=folder, stderr=subprocess.DEVNULL
        )
        try:
            ask: list[str | Path] = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-t", "20"]
            while subprocess.run(ask, capture_output=True, check=False).returncode:
                assert server.poll() is None
            yield f"postgresql+psycopg://windsock@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)


def test_postgresql_renames_both_columns_or_none(postgres: str, tmp_path: Path) -> None:
    labels = write_old_tables(postgres)
    with pytest.raises(DataError, match="`windsock log migrate`"):
        open_database(postgres)
    killed = migrate(tmp_path, "--database", postgres, killed_after=1)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with pytest.raises(DataError, match="late, landed_at"):
        open_database(postgres)
    done = migrate(tmp_path, "--database", postgres)
    assert done.returncode == 0, done.stderr
    open_database(postgres).dispose()
    np.testing.assert_equal(found_labels(postgres), labels)
