"""A prediction log as the version before schemas left it, made by hand: its tables, and segments of its spool."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from tests.support.payloads import json_numbers, rows

NOON = "2013-07-01T12:00:00"
TABLES = (
    """CREATE TABLE predictions (
        request_id VARCHAR(128) NOT NULL, "row" INTEGER NOT NULL, digest VARCHAR(64) NOT NULL,
        protocol VARCHAR(8) NOT NULL, event_time TIMESTAMP NOT NULL, received_at TIMESTAMP NOT NULL,
        duration_us BIGINT NOT NULL, numeric TEXT NOT NULL, category TEXT NOT NULL, score DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (request_id, "row"))""",
    """CREATE TABLE labels (
        request_id VARCHAR(128) NOT NULL, "row" INTEGER NOT NULL, late BOOLEAN NOT NULL, landed_at TIMESTAMP,
        received_at TIMESTAMP NOT NULL, PRIMARY KEY (request_id, "row"))""",
)
TORN = b'{"type":"label","request_id":"torn","row":0,"la'
DAMAGED = b'{"type":"label","request_id"\n'


@dataclass(frozen=True)
class OldLog:
    """`labels` is what a reader must find afterwards: id -> 0, 1 or NaN; the torn line was never acknowledged."""

    state: Path
    labels: dict[str, float]

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.state / 'predictions.db'}"

    @property
    def segments(self) -> list[Path]:
        return sorted((self.state / "spool").iterdir())

    def content(self) -> dict[str, Any]:
        """Everything that is there, to be compared."""
        engine = sa.create_engine(self.database_url)
        with engine.connect() as connection:
            tables: dict[str, Any] = {
                name: (
                    [column["name"] for column in sa.inspect(connection).get_columns(name)],
                    connection.execute(sa.text(f"SELECT * FROM {name} ORDER BY 1, 2")).all(),  # noqa: S608 - our names
                )
                for name in ("predictions", "labels")
            }
        engine.dispose()
        return tables | {path.name: path.read_bytes() for path in self.segments}


def write_old_tables(url: str) -> dict[str, float]:
    """Two rows with their labels and one without."""
    numeric, category = rows(3, seed=9)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(sa.text(table))
        for i, name in enumerate(("db-0", "db-1", "db-none")):
            cells = [json.dumps(json_numbers(numeric)[i]), json.dumps(category.tolist()[i])]
            connection.execute(
                sa.text("INSERT INTO predictions VALUES (:id, 0, :digest, 'rest', :at, :at, 100, :n, :c, 0.5)"),
                {"id": name, "digest": "d" * 64, "at": NOON.replace("T", " "), "n": cells[0], "c": cells[1]},
            )
        for name, late in (("db-0", False), ("db-1", True)):
            connection.execute(
                sa.text("INSERT INTO labels VALUES (:id, 0, :late, :at, :at)"),
                {"id": name, "late": late, "at": NOON.replace("T", " ")},
            )
    engine.dispose()
    return {"db-0": 0.0, "db-1": 1.0, "db-none": np.nan}


def write_old_segments(spool: Path) -> dict[str, float]:
    """Two segments: predictions, their labels, a damaged line, and one that was torn by a kill."""
    spool.mkdir(parents=True)
    numeric, category = rows(2, seed=10)
    for number in range(2):
        name = f"spool-{number}"
        prediction = {
            "type": "prediction", "request_id": name, "digest": "d" * 64, "protocol": "grpc", "event_time": NOON,
            "received_at": NOON, "duration_us": 90, "numeric": [json_numbers(numeric)[number]],
            "category": [category.tolist()[number]], "score": [0.25],
        }  # fmt: skip
        label = {"type": "label", "request_id": name, "row": 0, "late": number == 1, "landed_at": None}
        lines = [
            json.dumps(line, separators=(",", ":")).encode() for line in (prediction, label | {"received_at": NOON})
        ]
        path = spool / f"1-1-{number}.jsonl"
        path.write_bytes(b"\n".join([*lines, DAMAGED + TORN if number else b""]))
        path.chmod(0o600)
    return {"spool-0": 0.0, "spool-1": 1.0}


def write_old_log(state: Path) -> OldLog:
    labels = write_old_segments(state / "spool")
    return OldLog(state, write_old_tables(f"sqlite:///{state / 'predictions.db'}") | labels)
