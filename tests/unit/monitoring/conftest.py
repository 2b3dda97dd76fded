"""A champion, and a prediction log that is made by hand: the monitor needs nothing else."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from contracts.reference import Reference, pack
from contracts.schema import Category, Numeric
from monitoring.log.database import open_log
from monitoring.log.insert import Record, insert
from monitoring.log.schema import to_us
from monitoring.monitor import job, results
from monitoring.spool.frames import Label, Prediction
from registry.artifact_writer import write_artifact
from registry.keys import signing_keys
from tasks.flights.schema import SCHEMA
from tests.support.payloads import rows
from tests.support.tiny import NOWHERE, PROMISED, tiny_content, tiny_model

FEW = 20  # too few for a distance, so these months cost Evidently no time
TEMP = SCHEMA.numeric_names.index("temp")


def prediction(
    name: str,
    digest: str,
    event_time: datetime,
    received_at: datetime,
    numeric: Numeric,
    category: Category,
    score: list[float],
    protocol: str = "rest",
    duration_us: int = 900,
) -> Prediction:
    """One request under its own id. Instants are UTC without a zone."""
    return Prediction(
        id=f"ours-{name}",
        request_id=name,
        digest=digest,
        role="champion",
        schema_hash="",
        protocol=protocol,
        caller="",
        event_us=to_us(event_time),
        received_us=to_us(received_at),
        duration_us=duration_us,
        rows=len(score),
        numeric=numeric.astype("<f4").tobytes(),
        category="\0".join(category.ravel().tolist()).encode(),
        score=np.array(score, "<f4").tobytes(),
    )


def label(name: str, value: bool, outcome_at: datetime, received_at: datetime) -> Label:
    """Of the first row of a request."""
    return Label(f"label-{name}", name, 0, value, to_us(outcome_at), to_us(received_at), "")


@dataclass(frozen=True)
class World:
    """`root` holds a store with one champion, its key and an empty prediction log."""

    root: Path
    digest: str
    database: str

    def run(self, *months: str, **options: Any) -> dict[str, Any]:
        """The report, as it reads in JSON."""
        where = {"store": self.root / "store", "public_key": self.root / "signing.pub"}
        report = job.run(self.root, self.database, None, *months, **(where | options))
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(report))
        return found

    def newest(self) -> dict[str, Any] | None:
        """The newest report in the database, as it reads in JSON."""
        report = results.newest(self.database).report
        found: dict[str, Any] | None = None if report is None else msgspec.json.decode(msgspec.json.encode(report))
        return found

    def log(self, records: list[Record]) -> None:
        engine = open_log(self.database)
        assert insert(engine, records) == []
        engine.dispose()

    def flights(
        self,
        name: str,
        when: datetime,
        count: int,
        late: float | None,
        *,
        arrived: datetime | None = None,
        digest: str = "",
        fair: bool = False,
    ) -> list[Record]:
        """`count` predictions at about `when`, labelled late with this share; None: no label yet.

        Args:
            arrived: the service's clock; a minute ago when not given.
            fair: late flights have higher scores: the AUC is 1.
        """
        rng = np.random.default_rng(len(name))
        given, categories = rows(count, seed=len(name))
        records: list[Record] = []
        for i in range(count):
            is_late = late is not None and i < late * count
            moment = when + timedelta(seconds=i)
            received = arrived or recently(minutes=1)
            given[i, TEMP] = 50.0 + i % 3
            score = 0.2 + 0.6 * is_late if fair else float(rng.random())
            records.append(
                prediction(
                    f"{name}{i}", digest or self.digest, moment, received, given[i : i + 1], categories[i : i + 1],
                    [score], protocol=("rest", "grpc")[i % 2], duration_us=1_000 * (1 + i % 2),
                )
            )  # fmt: skip
            if late is not None:
                records.append(label(f"{name}{i}", is_late, moment, received))
        return records


def make_world(root: Path, metrics: dict[str, float] = PROMISED) -> World:
    """Its model saw 300 rows of 50 °F."""
    numeric, categories = rows(300, seed=1)
    numeric[:, TEMP] = 50.0 + np.arange(300) % 3
    artifact = write_artifact(
        root / "candidate",
        tiny_content(tiny_model(), reference=pack(Reference(numeric, categories)), metrics=metrics),
        NOWHERE,
        signing_keys(root),
    )
    (root / "store").mkdir()
    (root / "candidate").rename(root / "store" / artifact.digest)
    (root / "store/champion").write_text(artifact.digest)
    url = f"sqlite:///{root / 'predictions.db'}"
    open_log(url).dispose()
    return World(root, artifact.digest, url)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def recently(**ago: float) -> datetime:
    """UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None) - timedelta(**ago)
