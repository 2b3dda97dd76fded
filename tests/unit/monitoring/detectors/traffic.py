"""Made traffic whose numbers are as an instrument's: readings have few values, means of events many."""

import numpy as np
from numpy.typing import NDArray

from contracts.schema import Category, Numeric, Window
from monitoring.incidents.traffic import Traffic
from tasks.flights.schema import SCHEMA
from tests.support.tiny import CARRIERS

DAYS, A_DAY = 38, 288
FIRST = 13 * 24 * 365 * 3  # an hour
HIGH = np.array([min(one.high, 1000) for one in SCHEMA.numeric])
LOW = np.array([one.low for one in SCHEMA.numeric])
MIDDLE = LOW + (HIGH - LOW) * (0.3 + 0.01 * np.arange(len(LOW)))
STEP = (HIGH - LOW) / 300
COLUMN = SCHEMA.numeric_names.index("sched_block_minutes")


def scorer(numeric: Numeric, category: Category) -> NDArray[np.float32]:
    """Probabilities that are right, and tell much: labels are drawn by them."""
    del category
    told = np.nan_to_num((numeric[:, COLUMN] - MIDDLE[COLUMN]) / (8 * STEP[COLUMN]))
    return np.asarray(1 / (1 + np.exp(1 - 2 * told)), np.float32)


def made(days: int, seed: int) -> Traffic:
    """Readings of instruments have few values, means of events many; the minute of the day follows the clock."""
    rng, rows = np.random.default_rng(seed), days * A_DAY
    hour = FIRST + np.repeat(np.arange(days * 24), A_DAY // 24)
    numeric = np.empty((rows, len(SCHEMA.numeric)), np.float32)
    for column, one in enumerate(SCHEMA.numeric):
        many = isinstance(one.source, Window) and one.source.statistic == "mean"
        drawn = rng.normal(0, 8, rows)
        numeric[:, column] = np.clip(
            MIDDLE[column] + STEP[column] * (drawn if many else np.round(drawn)), one.low, one.high
        )
    numeric[:, SCHEMA.numeric_names.index("sched_dep_minute")] = (
        60 * ((hour + 20) % 24) + rng.integers(0, 60, rows)
    ) % 1440
    category = np.stack([rng.choice(CARRIERS, rows), rng.choice(["EWR", "JFK", "LGA"], rows), np.full(rows, "LAX")], 1)
    category = category.astype(object)
    score = scorer(numeric, category)
    label = (rng.random(rows) < score).astype(np.float64)
    ids = np.array([f"row-{seed}-{i}" for i in range(rows)], object)
    return Traffic(SCHEMA, hour, ids, numeric, category, label, np.zeros(rows, bool), scorer)
