"""Two months of a log that was there before: alarms on quality look at weeks, and a test has minutes."""

from datetime import UTC, datetime, timedelta

import numpy as np

from monitoring.incidents.traffic import Traffic
from monitoring.log.database import opened
from monitoring.log.insert import Record, insert
from tasks.flights.schema import SCHEMA
from tests.support.payloads import rows
from tests.unit.monitoring.conftest import label, prediction

DAYS = 60
ROWS_A_DAY = 60


def write_past(database_url: str, digest: str, *, opposite: bool = False) -> None:
    """Rows of each day with their labels, of which the scores know something, or the opposite."""
    rng = np.random.default_rng(0)
    now = datetime.now(UTC).replace(tzinfo=None)
    records: list[Record] = []
    for day in range(DAYS):
        numeric, category = rows(ROWS_A_DAY, seed=day)
        # A slice with enough rows to be judged.
        category[:, SCHEMA.category_names.index(SCHEMA.sliced_categories[0])] = "JFK"
        scores = rng.uniform(0.05, 0.95, ROWS_A_DAY)
        late = rng.random(ROWS_A_DAY) < (1 - scores if opposite else scores)
        for i in range(ROWS_A_DAY):
            name, moment = f"past-{day}-{i}", now - timedelta(days=day, minutes=10 * i + 1)
            one = slice(i, i + 1)
            records.append(prediction(name, digest, moment, moment, numeric[one], category[one], [float(scores[i])]))
            told = moment + timedelta(hours=8)
            if told < now:
                records.append(label(name, bool(late[i]), told, told))
    with opened(database_url) as engine:
        for start in range(0, len(records), 2_000):
            insert(engine, records[start : start + 2_000])


def write_traffic(database_url: str, digest: str, traffic: Traffic) -> None:
    """Rows whose last hour is the newest full one, with their labels, as a service would have logged them."""
    last = datetime.now(UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0) - timedelta(hours=1)
    scores = traffic.scorer(traffic.numeric, traffic.category)
    records: list[Record] = []
    for i in range(len(traffic)):
        name, at = f"made-{i}", last + timedelta(hours=int(traffic.hour[i] - traffic.hour[-1]), seconds=i % 3600)
        one = slice(i, i + 1)
        found = prediction(name, digest, at, at, traffic.numeric[one], traffic.category[one], [float(scores[i])])
        records.append(found)
        if not np.isnan(traffic.label[i]):
            told = at + timedelta(hours=8)
            records.append(label(name, bool(traffic.label[i]), told, told))
    with opened(database_url) as engine:
        for start in range(0, len(records), 2_000):
            insert(engine, records[start : start + 2_000])


def faulty(traffic: Traffic) -> Traffic:
    """The last day with faults of inputs, each of other columns, and rows twice; labels are wrong from earlier on."""
    rng, names = np.random.default_rng(0), SCHEMA.numeric_names
    numeric, category, labels = traffic.numeric.copy(), traffic.category.copy(), traffic.label.copy()
    day = traffic.hour > traffic.hour[-1] - 24
    column = {name: names.index(name) for name in names}
    numeric[day, column["wind_speed"]] *= np.float32(0.44704)
    numeric[day, column["pressure"]] = numeric[day, column["pressure"]][0]
    numeric[day & (rng.random(len(day)) < 0.5), column["visib"]] = np.nan
    numeric[day & (rng.random(len(day)) < 1 / 3), column["system_dep_delay_1h"]] = 2_880
    minute = numeric[day, column["sched_dep_minute"]]
    numeric[day, column["sched_dep_minute"]] = (minute + 240) % 1440
    pair = [column["plane_age"], column["plane_seats"]]
    numeric[np.ix_(day, pair)] = numeric[np.ix_(day, pair[::-1])]
    category[day & (rng.random(len(day)) < 0.2), 2] = "NEW"
    waited = traffic.hour <= traffic.hour[-1]
    labels[waited & (traffic.hour > traffic.hour[-1] - 96) & (category[:, 1] == "JFK")] = np.nan
    flipped = waited & (traffic.hour > traffic.hour[-1] - 96) & (category[:, 1] == "LGA")
    labels[flipped] = 1 - labels[flipped]
    again = np.flatnonzero(day & (rng.random(len(day)) < 0.5))
    changed = traffic.with_(numeric=numeric, category=category, label=labels)
    return changed.rows(np.sort(np.concatenate([np.arange(len(traffic)), again])))
