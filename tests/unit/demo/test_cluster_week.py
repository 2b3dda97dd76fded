"""The week that `cluster demo` sends."""

import time
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from demo.cluster_week import _write_week

FIRST = datetime(2013, 7, 1, 9)


def test_seven_days_of_flights_under_ids_of_this_run(tmp_path: Path) -> None:
    flights = {
        "row_id": ["a", "b", "c", "other month"],
        "month": ["2013-07", "2013-07", "2013-07", "2013-08"],
        "predicted_at": [FIRST, FIRST + timedelta(days=6), FIRST + timedelta(days=7), FIRST],
    }
    types = pa.schema({"row_id": pa.string(), "month": pa.string(), "predicted_at": pa.timestamp("us")})
    pq.write_table(pa.table(flights, types), tmp_path / "features.parquet")
    assert _write_week(tmp_path / "features.parquet", "2013-07", tmp_path / "week.parquet") == 2
    ids = pq.read_table(tmp_path / "week.parquet")["row_id"].to_pylist()
    stamps = {name.rpartition("-")[0] for name in ids}
    assert [name.rpartition("-")[2] for name in ids] == ["a", "b"]
    (stamp,) = stamps  # UTC
    assert abs(datetime.strptime(f"{stamp}+0000", "%Y%m%dT%H%M%S%z").timestamp() - time.time()) < 60
