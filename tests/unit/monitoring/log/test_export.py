"""The log as Parquet by day: what is in it, how DuckDB reads it, and that it takes no more memory than a part of it."""

import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from cli import main
from monitoring.log.database import open_log
from monitoring.log.insert import insert
from monitoring.log.schema import DAY_US
from tests.unit.monitoring.log.conftest import DIGEST, NOW_US, label, prediction

DAY = date(1970, 1, 1) + timedelta(microseconds=NOW_US)


def export(url: str, out: Path, *options: str) -> str:
    done = CliRunner().invoke(main, ["log", "export", "--database", url, "--out", str(out), *options])
    assert done.exit_code == 0, done.output
    return done.output


def ask(what: str, folder: Path, order: str) -> list[tuple[Any, ...]]:
    sql = f"SELECT {what} FROM '{folder}/*/*.parquet' ORDER BY {order}"  # noqa: S608 - our own words
    return duckdb.connect().execute(sql).fetchall()


def test_duckdb_reads_what_was_logged(engine: sa.Engine, url: str, tmp_path: Path) -> None:
    numbers = np.array([[1, np.nan], [3, 4]], "<f4")
    insert(
        engine,
        [
            prediction("a", rows=2, numeric=numbers.tobytes(), category="UA\0\0é\0EWR".encode(), event_us=NOW_US - 1),
            prediction("b", received_us=NOW_US + DAY_US, role="shadow"),
            label("a", True, row=1, outcome_us=NOW_US),
            label("a", False, row=1, id="correction", received_us=NOW_US + DAY_US),
        ],
    )
    assert "2 days, 3 rows of predictions, 2 labels" in export(url, tmp_path / "out")
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet"))
    days = (DAY, DAY + timedelta(days=1))
    assert files == [f"out/{table}/day={day}/rows.parquet" for table in ("labels", "predictions") for day in days]
    rows = ask(
        "day::varchar, request_id, id, row, digest, role, caller, epoch_us(event_time), epoch_us(received_at), "
        "numeric, category, score",
        tmp_path / "out/predictions", "received_at, row",
    )  # fmt: skip
    assert rows[0] == (
        *(str(DAY), "a", "ours-a", 0, DIGEST, "champion", "demo", NOW_US - 1, NOW_US),
        *([1.0, None], ["UA", None], 0.0),
    )
    assert rows[1][3] == 1
    assert rows[1][9:] == ([3.0, 4.0], ["é", "EWR"], np.float32(0.001))
    assert rows[2][1:6] == ("b", "ours-b", 0, DIGEST, "shadow")
    told = ask("row, value, epoch_us(outcome_at)", tmp_path / "out/labels", "received_at")
    assert told == [(1, True, NOW_US), (1, False, None)]


def test_days_are_chosen_and_written_again(engine: sa.Engine, url: str, tmp_path: Path) -> None:
    insert(engine, [prediction(f"{i}", received_us=NOW_US + i * DAY_US) for i in range(4)])
    first, last = (str(DAY + timedelta(days=i)) for i in (1, 2))
    for _ in range(2):
        assert "2 days, 2 rows" in export(url, tmp_path, "--first", first, "--last", last)
    assert ask("request_id", tmp_path / "predictions", "1") == [("1",), ("2",)]
    done = CliRunner().invoke(
        main, ["log", "export", "--database", url, "--out", str(tmp_path), "--first", last, "--last", first]
    )
    assert (done.exit_code, "must not be after `last`" in done.output) == (1, True)


def test_a_folder_that_takes_nothing_is_said(engine: sa.Engine, url: str, tmp_path: Path) -> None:
    insert(engine, [prediction("a")])
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["log", "export", "--database", url, "--out", str(tmp_path / "file")])
    assert (done.exit_code, "must take the export" in done.output) == (1, True)


def test_many_rows_take_the_memory_of_a_few(tmp_path: Path) -> None:
    """600,000 rows of 31 numbers are 77 MB as they are; the process may grow by no more than a part takes."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    engine = open_log(url)
    wide = {"numeric": np.zeros(31 * 8_192, "<f4").tobytes(), "category": b"\0" * (3 * 8_192 - 1)}
    for i in range(73):
        insert(engine, [prediction(f"{i}", rows=8_192, received_us=NOW_US + i, **wide)])
    engine.dispose()
    code = f"""
import resource
from pathlib import Path
from monitoring.log.upkeep.export import export_log
import pyarrow.parquet
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
done = export_log({url!r}, Path({str(tmp_path)!r}))
print(done.predictions, peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows, grown = done.stdout.split()
    assert int(rows) == 73 * 8_192
    assert float(grown) < 150


@pytest.mark.parametrize("command", ["migrate", "maintain", "delete", "export"])
def test_commands_of_the_log_explain_themselves(command: str) -> None:
    done = CliRunner().invoke(main, ["log", command, "--help"])
    assert (done.exit_code, "--database" in done.output) == (0, True)
