"""A log that an earlier version wrote is refused, and renewed by `windsock log migrate` without a loss.

`released/` was made by the service of release 0.2 itself: its database, the segment that a kill left in its spool, and
`read.json`, what its own reader found once its own next start had moved that segment.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from contracts.errors import DataError
from monitoring.log.database import open_log
from monitoring.log.migrate import refuse_old_spool
from monitoring.log.reader import read_predictions
from tests.support.old_log import write_old_log, write_old_segments, write_old_tables
from tests.support.payloads import records, rows
from tests.support.serving import Store, start

RELEASED = Path(__file__).parent / "released"
LONG_AGO, FAR = datetime(2000, 1, 1), datetime(2100, 1, 1)
# Kills itself right after the n-th of its changes: statements of the database, and files written or deleted.
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
    if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
        count()
@sa.event.listens_for(sa.Engine, "commit")
def committed(connection):
    count()
for name in ("replace", "unlink"):
    def change(self, *arguments, real=getattr(pathlib.Path, name), **options):
        count()
        real(self, *arguments, **options)
        count()
    setattr(pathlib.Path, name, change)
from cli import main
main()
"""


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


def as_read(url: str) -> list[dict[str, Any]]:
    """Every row, in the form of `released/read.json`."""
    found = read_predictions(url, LONG_AGO, FAR)
    return [
        {
            "request_id": found.request_id[i],
            "digest": found.digest[i],
            "protocol": found.protocol[i],
            "event_time": str(found.event_time[i]),
            "received_at": str(found.received_at[i]),
            "numeric": [None if np.isnan(value) else float(value) for value in found.numeric[i]],
            "category": found.category[i].tolist(),
            "score": float(found.score[i]),
            "label": None if np.isnan(found.label[i]) else float(found.label[i]),
            "duration_us": int(found.duration_us[i]),
        }
        for i in range(len(found.score))
    ]


def ordered(rows: list[dict[str, Any]]) -> list[str]:
    """Rows of one instant may come in any order."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def released_state(folder: Path) -> Path:
    shutil.copytree(RELEASED, folder / "state")
    return folder / "state"


def expected() -> list[str]:
    return ordered(json.loads((RELEASED / "read.json").read_text()))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_log_of_the_release_is_read_as_the_release_read_it(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    state = released_state(tmp_path)
    url, options = f"sqlite:///{state / 'predictions.db'}", []
    if kind == "postgresql":
        url = request.getfixturevalue("postgres")
        copy_to_postgres(state / "predictions.db", url)
        options = ["--database", url]
    with pytest.raises(DataError, match="got version 1 or older; stop what uses it and run `windsock log migrate`"):
        read_predictions(url, LONG_AGO, FAR)
    done = migrate(state, *options)
    assert (done.returncode, done.stdout.splitlines()) == (0, [
        "tables of the database: renewed from version 1", "segments of version 1's spool: 1 moved, 0 lines put aside",
    ]), done.stderr  # fmt: skip
    assert ordered(as_read(url)) == expected()
    assert not list((state / "spool").glob("*"))
    again = migrate(state, *options)
    assert "already those of this version" in again.stdout
    assert ordered(as_read(url)) == expected()


def copy_to_postgres(path: Path, url: str) -> None:
    """The tables of the release, as its SQLAlchemy made them there, with the rows of its SQLite file."""
    columns = {
        "predictions": (
            'request_id VARCHAR(128), "row" INTEGER, digest VARCHAR(64) NOT NULL, protocol VARCHAR(8) NOT NULL, '
            "event_time TIMESTAMP NOT NULL, received_at TIMESTAMP NOT NULL, duration_us BIGINT NOT NULL, "
            "numeric TEXT NOT NULL, category TEXT NOT NULL, score DOUBLE PRECISION NOT NULL, "
            'PRIMARY KEY (request_id, "row")'
        ),
        "labels": (
            'request_id VARCHAR(128), "row" INTEGER, value BOOLEAN NOT NULL, outcome_at TIMESTAMP, '
            'received_at TIMESTAMP NOT NULL, PRIMARY KEY (request_id, "row")'
        ),
    }
    source, target = sa.create_engine(f"sqlite:///{path}"), sa.create_engine(url)
    with source.connect() as old, target.begin() as new:
        for table, declared in columns.items():
            new.exec_driver_sql(f"CREATE TABLE {table} ({declared})")
            found = old.exec_driver_sql(f"SELECT * FROM {table}")  # noqa: S608 - our own names
            place = ", ".join(f":c{i}" for i in range(len(found.keys())))
            for row in found:
                values = {f"c{i}": bool(v) if n == "value" else v for i, (n, v) in enumerate(row._asdict().items())}
                new.execute(sa.text(f"INSERT INTO {table} VALUES ({place})"), values)  # noqa: S608 - our own names
    source.dispose()
    target.dispose()


def test_killed_at_any_change_the_tables_are_old_or_new_and_the_next_run_ends_it(tmp_path: Path) -> None:
    """Every change of a migration in turn, until one is past the last."""
    url, outcomes = "", set()
    for change in range(1, 200, 3):
        state = released_state(tmp_path / str(change))
        url = f"sqlite:///{state / 'predictions.db'}"
        killed = migrate(state, killed_after=change)
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        try:
            outcomes.add(len(as_read(url)))
        except DataError as error:
            assert "version 1 or older" in str(error)  # noqa: PT017 - either is right
            outcomes.add(0)
        done = migrate(state)
        assert done.returncode == 0, done.stderr
        assert ordered(as_read(url)) == expected(), change
    else:
        pytest.fail("the migration never ended")
    assert outcomes == {0, 11, 14}  # before, between database and spool, after


def test_a_log_from_before_schemas_is_renewed_and_served(tmp_path: Path, artifact_store: Store) -> None:
    old = write_old_log(tmp_path / "state")
    before = old.content()
    server = start(tmp_path, artifact_store, wait=False)
    assert server.process.wait(timeout=60) == 1
    assert "`windsock log migrate`" in server.log()
    assert old.content() == before
    done = migrate(old.state)
    assert (done.returncode, done.stdout.splitlines()) == (0, [
        "tables of the database: renewed from version 1", "segments of version 1's spool: 2 moved, 1 lines put aside",
    ]), done.stderr  # fmt: skip
    (bad,) = (old.state / "spool/bad").iterdir()
    assert bad.read_bytes() == b'{"type":"label","request_id"\n'
    server = start(tmp_path, artifact_store, retention_days=36_500)  # its rows are of 2013
    assert server.ask("/v1/predict", records(*rows(1), id="new"))[0] == 200
    assert server.ask("/v1/labels", {"labels": [{"id": "db-none", "value": True}]})[0] == 200
    assert server.stop() == 0, server.log()
    np.testing.assert_equal(found_labels(server.database_url), old.labels | {"new": np.nan, "db-none": 1.0})


def test_a_database_or_a_spool_of_version_1_is_refused_by_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'predictions.db'}"
    write_old_tables(url)
    with pytest.raises(DataError, match="`windsock log migrate`"):
        open_log(url)
    write_old_segments(tmp_path / "spool")
    with pytest.raises(DataError, match=r"got 1-1-0\.jsonl of version 1; run `windsock log migrate`"):
        refuse_old_spool(tmp_path / "spool")
    refuse_old_spool(tmp_path / "no spool")


def test_a_log_that_is_in_use_is_not_touched(tmp_path: Path) -> None:
    old = write_old_log(tmp_path / "state")
    before = old.content()
    with old.segments[-1].open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = migrate(old.state)
    assert done.returncode == 1
    assert "must be held by no service" in done.stderr
    assert old.content() == before


def test_tables_that_no_version_made_are_left_as_they_are(tmp_path: Path) -> None:
    old = write_old_log(tmp_path)
    engine = sa.create_engine(old.database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE labels RENAME COLUMN late TO tardy")
    engine.dispose()
    before = old.content()
    done = migrate(tmp_path)
    assert done.returncode == 1
    assert "the table `labels` of the prediction log must have value, got the columns" in done.stderr
    assert old.content() == before


def test_an_empty_database_gets_its_tables(tmp_path: Path) -> None:
    assert "tables of the database: made" in migrate(tmp_path).stdout
    open_log(f"sqlite:///{tmp_path / 'predictions.db'}").dispose()
