"""A database of each kind, and records for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from monitoring.log.database import open_log
from monitoring.spool.frames import Label, Prediction

NOW_US = 1_790_000_000_000_000  # some instant of 2026
DIGEST = "d" * 64


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'log.db'}"
    found: str = request.getfixturevalue("postgres")
    return found


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """A prediction log without rows."""
    engine = open_log(url)
    yield engine
    engine.dispose()


def prediction(name: str, rows: int = 1, **other: Any) -> Prediction:
    """One request with 2 numbers and 2 categories a row; its scores are 0, .001, .002 ..."""
    values: dict[str, Any] = {
        "id": f"ours-{name}",
        "request_id": name,
        "digest": DIGEST,
        "role": "champion",
        "schema_hash": "5" * 64,
        "protocol": "rest",
        "caller": "demo",
        "event_us": NOW_US,
        "received_us": NOW_US,
        "duration_us": 400,
        "rows": rows,
        "numeric": np.arange(2 * rows, dtype="<f4").tobytes(),
        "category": "\0".join(["UA", "EWR"] * rows).encode(),
        "score": (np.arange(rows, dtype="<f4") / 1_000).tobytes(),
    }
    return Prediction(**(values | other))


def label(name: str, value: bool, row: int = 0, **other: Any) -> Label:
    """A label that came an hour after its prediction."""
    values: dict[str, Any] = {
        "id": f"label-{name}-{row}-{value}",
        "request_id": name,
        "row": row,
        "value": value,
        "outcome_us": None,
        "received_us": NOW_US + 3_600_000_000,
        "caller": "demo",
    }
    return Label(**(values | other))


def count(engine: sa.Engine, table: str) -> int:
    with engine.connect() as connection:
        found: int = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()  # noqa: S608 - our own names
    return found
