"""Two months of a log that was there before: alarms on quality look at weeks, and a test has minutes."""

from datetime import UTC, datetime, timedelta

import numpy as np

from monitoring.log.database import opened
from monitoring.log.insert import Record, insert
from tasks.flights.schema import SCHEMA
from tests.support.payloads import rows
from tests.unit.monitoring.conftest import label, prediction

DAYS = 60
ROWS_A_DAY = 60


def write_past(database_url: str, digest: str, *, opposite: bool = False) -> None:
    """Rows of each day up to yesterday with their labels, of which the scores know something, or the opposite."""
    rng = np.random.default_rng(0)
    now = datetime.now(UTC).replace(tzinfo=None)
    records: list[Record] = []
    for day in range(1, DAYS + 1):
        numeric, category = rows(ROWS_A_DAY, seed=day)
        category[:, SCHEMA.category_names.index(SCHEMA.slices[0])] = "JFK"  # a slice with enough rows to be judged
        scores = rng.uniform(0.05, 0.95, ROWS_A_DAY)
        late = rng.random(ROWS_A_DAY) < (1 - scores if opposite else scores)
        for i in range(ROWS_A_DAY):
            name, moment = f"past-{day}-{i}", now - timedelta(days=day, minutes=10 * i)
            one = slice(i, i + 1)
            records.append(prediction(name, digest, moment, moment, numeric[one], category[one], [float(scores[i])]))
            told = moment + timedelta(hours=8)
            records.append(label(name, bool(late[i]), told, told))
    with opened(database_url) as engine:
        for start in range(0, len(records), 2_000):
            insert(engine, records[start : start + 2_000])
