"""Two folders, another time zone of the machine: the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

from contracts.params import Params
from contracts.tables import FEATURE_TABLE
from pipelines import parquet
from pipelines.stages import featurize, ingest, parameters, validate
from tests.data.conftest import MakeRoot

STAGES = {"parameters": parameters, "ingest": ingest, "validate": validate, "featurize": featurize}
EVERY = 40


def content(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_two_folders_and_two_time_zones_give_the_same_bytes(make_root: MakeRoot) -> None:
    here, params = make_root(keep_every=EVERY)
    there, _ = make_root(keep_every=EVERY)
    for module in STAGES.values():
        module.main(here, params)
    for name in STAGES:
        command = [sys.executable, "-m", "cli", "stage", name]
        subprocess.run(command, cwd=there, env={**os.environ, "TZ": "Asia/Tokyo"}, check=True, capture_output=True)
    one, two = content(here), content(there)
    assert one.keys() == two.keys()
    assert {"data/features.parquet", "reports/ingest.json", "reports/validation.json"} < one.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_featurize_over_its_own_output_changes_nothing(weeks: tuple[Path, Params]) -> None:
    root, params = weeks
    before = (root / featurize.OUTPUT).read_bytes()
    featurize.main(root, params)
    assert (root / featurize.OUTPUT).read_bytes() == before


def test_rows_stand_in_one_total_order(weeks: tuple[Path, Params]) -> None:
    features = parquet.read(weeks[0] / featurize.OUTPUT)
    order = list(zip(features["predicted_at"].to_pylist(), features["flight_id"].to_pylist(), strict=True))
    assert order == sorted(set(order))
    assert features.schema.equals(parquet.schema(FEATURE_TABLE))


def test_no_output_names_a_folder_of_this_machine(weeks: tuple[Path, Params]) -> None:
    root, _ = weeks
    for path in (root / featurize.OUTPUT, root / featurize.REPORT):
        assert str(root).encode() not in path.read_bytes()
