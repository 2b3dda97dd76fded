"""Two folders, another time zone of the machine: the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

from contracts.tables import feature_table
from contracts.workspace import Workspace
from pipelines import parquet
from pipelines.runner import run_stage
from tasks.flights.schema import SCHEMA
from tests.data.conftest import MakeRoot

STAGES = ("parameters", "ingest", "validate", "featurize")
EVERY = 40


def content(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_two_folders_and_two_time_zones_give_the_same_bytes(make_root: MakeRoot) -> None:
    here = make_root(keep_every=EVERY).root
    there = make_root(keep_every=EVERY).root
    for name in STAGES:
        run_stage(name, here)
    for name in STAGES:
        command = [sys.executable, "-m", "cli", "stage", name]
        subprocess.run(command, cwd=there, env={**os.environ, "TZ": "Asia/Tokyo"}, check=True, capture_output=True)
    one, two = content(here), content(there)
    assert one.keys() == two.keys()
    assert {"data/features.parquet", "reports/ingest.json", "reports/validation.json"} < one.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_featurize_over_its_own_output_changes_nothing(weeks: Workspace) -> None:
    before = weeks.features.read_bytes()
    run_stage("featurize", weeks.root)
    assert weeks.features.read_bytes() == before


def test_rows_stand_in_one_total_order(weeks: Workspace) -> None:
    features = parquet.read(weeks.features)
    order = list(zip(features["predicted_at"].to_pylist(), features["row_id"].to_pylist(), strict=True))
    assert order == sorted(set(order))
    assert features.schema.equals(parquet.schema(feature_table(SCHEMA).columns))


def test_no_output_names_a_folder_of_this_machine(weeks: Workspace) -> None:
    for path in (weeks.features, weeks.report("features")):
        assert str(weeks.root).encode() not in path.read_bytes()
