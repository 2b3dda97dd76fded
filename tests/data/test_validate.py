"""`validate` and `featurize` refuse tables that break a contract, and name table, column, count and rule."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from contracts.errors import ContractViolation, DataError
from contracts.workspace import Workspace
from pipelines import parquet
from pipelines.stages import featurize, validate

Change = Callable[[Any], Any]
NAMES = ("flights", "weather", "planes")


@pytest.fixture
def workspace(ingested: Workspace, tmp_path: Path) -> Workspace:
    """A workspace with the first 500 flights and all weather and planes, to break."""
    copy = Workspace(tmp_path)
    shutil.copytree(ingested.ingested, copy.ingested)
    change(copy, "flights", lambda t: t.slice(0, 500))
    shutil.copy(Path(__file__).parents[2] / "params.yaml", tmp_path)
    return copy


def change(workspace: Workspace, name: str, how: Change) -> None:
    path = workspace.ingested / f"{name}.parquet"
    parquet.write(path, how(parquet.read(path)))


def put(column: str, value: Any, rows: int = 3) -> Change:
    """The first `rows` values of a column become `value`."""

    def how(table: Any) -> Any:
        values = table[column].to_pylist()
        array = pa.array([value] * rows + values[rows:], table.schema.field(column).type)
        return table.set_column(table.column_names.index(column), column, array)

    return how


def shifted(column: str, **by: float) -> Change:
    def how(table: Any) -> Any:
        return table.set_column(
            table.column_names.index(column), column, pc.add(table[column], timedelta(**by)).cast(pa.timestamp("us"))
        )

    return how


def retyped(column: str, dtype: Any) -> Change:
    return lambda t: t.set_column(t.column_names.index(column), column, t[column].cast(dtype))


BREACHES: dict[str, tuple[str, Change, str]] = {
    "too high": ("weather", put("temp", 999.0), r"`weather\.temp` must be between -60 and 140, got 3 rows outside"),
    "too low": ("flights", put("distance", 0.0, 2), r"`flights\.distance` must be between 1 and 12000, got 2 rows"),
    "infinite": ("weather", put("visib", float("inf"), 1), r"`weather\.visib` must be .* got 1 rows outside"),
    "not a number": ("weather", put("visib", float("nan"), 1), r"`weather\.visib` must be .* got 1 rows outside"),
    "null": ("flights", put("origin", None, 7), r"`flights\.origin` must be present in every row, got 7 rows without"),
    "duplicate": (
        "weather",
        lambda t: pa.concat_tables([t, t.slice(0, 4)]),
        r"`weather\.origin\+observed` must be unique, got 4 duplicates",
    ),
    "duplicate flight": ("flights", put("flight_id", "x", 5), r"`flights\.flight_id` must be unique, got 4 duplicates"),
    "unknown column": (
        "planes",
        lambda t: t.append_column("wings", pa.array([2] * t.num_rows)),
        r"`planes\.wings` must be absent",
    ),
    "missing column": (
        "planes",
        lambda t: t.drop_columns(["seats"]),
        r"`planes\.seats` must be a column of type int64",
    ),
    "order": ("planes", lambda t: t.select(["year", "tailnum", "seats"]), r"`planes\.columns` must be in the order"),
    "type": ("flights", retyped("flight", pa.float64()), r"`flights\.flight` must be of type int64, got double"),
    "seconds": ("flights", shifted("landed", seconds=1), r"`flights\.landed` must be a whole minute, got \d+ rows"),
    "seconds of weather": ("weather", shifted("observed", seconds=1), r"`weather\.observed` must be a whole minute"),
    "landed before departed": ("flights", shifted("landed", days=-1), r"`flights\.landed` must be after departed"),
    "arrives before it departs": (
        "flights",
        shifted("scheduled_arrival", days=-1),
        r"`flights\.scheduled_arrival` must be after scheduled_departure, got 500 rows",
    ),
    "departed at another time": (
        "flights",
        shifted("departed", minutes=1),
        r"`flights\.dep_delay` must be departed less",
    ),
    "a label without landing": ("flights", put("landed", None, 1), r"`flights\.arr_delay` must be missing just when"),
    "month of UTC": (
        "flights",
        put("local_month", "2013-02"),
        r"`flights\.local_month` must be New York's month, got 3",
    ),
    "day": ("flights", put("day_of_week", 7, 1), r"`flights\.day_of_week` must be New York's day, got 1 rows"),
    "minute": ("flights", put("sched_dep_minute", 5, 1), r"`flights\.sched_dep_minute` must be New York's minute"),
    "airport": ("flights", put("origin", "XXX", 1), r"`flights\.origin` must be an airport with weather.*from XXX"),
}


def test_what_ingest_wrote_is_valid(workspace: Workspace) -> None:
    validate.main(workspace, task="flights")
    report = json.loads(workspace.report("validation").read_text())
    assert report["violations"] == 0
    assert report["tables"]["flights"]["rows"] == 500


@pytest.mark.parametrize("breach", BREACHES)
def test_validate_refuses(breach: str, workspace: Workspace) -> None:
    name, how, message = BREACHES[breach]
    change(workspace, name, how)
    with pytest.raises(ContractViolation, match=message):
        validate.main(workspace, task="flights")
    assert not workspace.report("validation").exists()


def test_validate_refuses_a_file_that_is_no_table(workspace: Workspace) -> None:
    (workspace.ingested / "planes.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"`planes\.parquet` must be a readable Parquet file.*dvc repro"):
        validate.main(workspace, task="flights")
    (workspace.ingested / "planes.parquet").unlink()
    with pytest.raises(DataError, match=r"`planes\.parquet` must be a readable Parquet file"):
        validate.main(workspace, task="flights")


def test_the_command_line_says_it_in_one_line(workspace: Workspace) -> None:
    change(workspace, "weather", put("temp", 999.0))
    command = [sys.executable, "-m", "cli", "stage", "validate"]
    ended = subprocess.run(command, cwd=workspace.root, env=dict(os.environ), text=True, capture_output=True)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "Error: `weather.temp` must be between -60 and 140, got 3 rows outside, the first 999; "
        "mend the data or the rule in tasks/flights/cleaning.py"
    ]


FEATURES: dict[str, tuple[str, Change, str]] = {
    "schedule": ("flights", put("distance", 20_000.0), r"`features\.distance` must be between 1 and 12000, got 3 rows"),
    "block": (
        "flights",
        shifted("scheduled_arrival", days=2),
        r"`features\.sched_block_minutes` must be .* got 500 rows",
    ),
    "weather": (
        "weather",
        put("pressure", 5.0, 26_115),
        r"`features\.pressure` must be between 850 and 1100, got \d+ rows",
    ),
    "rolling": ("flights", put("dep_delay", 9_000, 300), r"`features\.\w+_dep_delay_1h` must be between -180 and 2880"),
    "category": ("flights", put("dest", "X" * 17, 2), r"`features\.dest` must be of at most 16 characters, got 2 rows"),
    "key": ("flights", put("flight_id", "x", 2), r"`features\.row_id` must be unique, got 1 duplicates"),
}


@pytest.mark.parametrize("breach", FEATURES)
def test_featurize_refuses_a_feature_outside_its_contract(breach: str, workspace: Workspace) -> None:
    name, how, message = FEATURES[breach]
    change(workspace, name, how)
    with pytest.raises(ContractViolation, match=message):
        featurize.main(workspace, task="flights")
    assert not workspace.features.exists()


def test_an_aircraft_younger_than_its_flight_has_no_age(workspace: Workspace) -> None:
    change(workspace, "planes", put("year", 2014, 3_322))
    featurize.main(workspace, task="flights")
    features = parquet.read(workspace.features)
    assert features["plane_age"].null_count == features.num_rows
    assert features["plane_seats"].null_count < features.num_rows


def test_weather_older_than_three_hours_is_missing(workspace: Workspace) -> None:
    flights = parquet.read(workspace.ingested / "flights.parquet")
    oldest = flights["scheduled_departure"][100].as_py() - timedelta(hours=2 + 3)

    def one_observation_an_airport(weather: Any) -> Any:
        rows = [weather["origin"].to_pylist().index(origin) for origin in ("EWR", "JFK", "LGA")]
        return weather.take(rows).set_column(1, "observed", pa.array([oldest] * 3, pa.timestamp("us")))

    change(workspace, "weather", one_observation_an_airport)
    featurize.main(workspace, task="flights")
    for row in parquet.read(workspace.features).to_pylist():
        fresh = oldest <= row["predicted_at"] <= oldest + timedelta(hours=3)
        assert (row["temp"] is not None) == fresh, row["row_id"]
