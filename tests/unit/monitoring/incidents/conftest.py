"""Six weeks of a tiny model's traffic, whose outcomes follow its scores: a workspace as the pipeline leaves it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.incidents import make_world
from contracts.objectives import Objectives
from contracts.store import load_champion
from monitoring.incidents.simulator import World
from monitoring.scorer.reference import ReferenceScorer
from tasks.flights.schema import SCHEMA
from tests.support.tiny import CARRIERS, bounds, tiny_model, write_store

DAYS, A_DAY = 72, 240
AS_OF = np.datetime64("2013-07-01", "us")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    write_store(folder, tiny_model(strength=3.0))
    rng = np.random.default_rng(0)
    count = DAYS * A_DAY
    low, high = bounds(SCHEMA)
    numeric = (low + rng.random((count, len(low))) * (high - low)).astype(np.float32)
    category = np.stack(
        [rng.choice(CARRIERS, count), rng.choice(["EWR", "JFK", "LGA"], count), np.full(count, "LAX")], 1
    ).astype(object)
    at = AS_OF + np.arange(count) * np.timedelta64(86_400_000_000 // A_DAY, "us")
    score = ReferenceScorer(tiny_model(strength=3.0))(numeric, category)
    columns = {
        "row_id": [f"row-{i}" for i in range(count)],
        "month": [str(moment)[:7] for moment in at],
        "predicted_at": at,
        "label": pa.array(rng.random(count) < score),
        **dict(zip(SCHEMA.numeric_names, numeric.T, strict=True)),
        **dict(zip(SCHEMA.category_names, category.T, strict=True)),
    }
    (folder / "data").mkdir()
    pq.write_table(pa.table(columns), folder / "data/features.parquet")
    return folder


@pytest.fixture(scope="session")
def world(workspace: Path) -> World:
    artifact = load_champion(workspace / "store", workspace / "signing.pub")
    return make_world(artifact, workspace / "data/features.parquet", Objectives())
