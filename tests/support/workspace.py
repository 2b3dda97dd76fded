"""A workspace as the pipeline leaves it: a tiny model, and a table of rows whose outcomes follow its scores."""

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitoring.scorer.reference import ReferenceScorer
from tasks.flights.schema import SCHEMA
from tests.support.tiny import CARRIERS, bounds, tiny_model, write_store

A_DAY: Final = 240
AS_OF: Final = np.datetime64("2013-07-01", "us")


def write_workspace(folder: Path, days: int) -> Path:
    """`folder` with store, keys and data/features.parquet, from the model's date on."""
    write_store(folder, tiny_model(strength=3.0))
    rng = np.random.default_rng(0)
    count = days * A_DAY
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
        "outcome_at": at + np.timedelta64(1, "h"),
        "label": pa.array(rng.random(count) < score),
        **dict(zip(SCHEMA.numeric_names, numeric.T, strict=True)),
        **dict(zip(SCHEMA.category_names, category.T, strict=True)),
    }
    (folder / "data").mkdir()
    pq.write_table(pa.table(columns), folder / "data/features.parquet")
    return folder
