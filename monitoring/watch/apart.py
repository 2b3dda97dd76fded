"""Trees that try to tell this week's rows from the weeks before: they see what no feature shows alone.

A classifier of domains (Rabanser et al. 2019, "Failing loudly", 3.2), judged on days that it did not learn from: rows
of a day share its weather, so a split by rows would tell days apart, and call any two weeks different.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from contracts.reports.watching import Apart
from contracts.schema import Category, Numeric, Schema
from monitoring.log.reader import ask_log
from monitoring.log.sample import Clock, sample_day
from monitoring.log.schema import DAY_US, PREDICTIONS, to_us
from monitoring.scorer.codes import features
from monitoring.statistics.quality import auc

DAYS: Final = 7
DAYS_BEFORE: Final = 28
ROWS_A_DAY: Final = 200
LEAST_DAYS: Final = 5  # of the newest week, and twice as many before it
LEAST_ROWS: Final = 30  # of a day, which else says nothing
TOLD: Final = 5  # features that are named
_PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.5,
    "is_unbalance": True,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 0,
    "verbosity": -1,
}
_ROUNDS: Final = 40


def tell_apart(
    database_url: str, schema: Schema, vocabulary: Mapping[str, Sequence[str]], clock: Clock, now: datetime
) -> Apart:
    """Of the newest seven days, `now` their end, and the 28 before; of each day a bounded draw.

    Args:
        now: UTC without a zone.

    Raises:
        DataError: there is no prediction log of this version at this address.
    """
    days: list[tuple[Numeric, Category]] = []
    asked = _days_with_rows(database_url, clock, now)
    for back in range(DAYS + DAYS_BEFORE):
        day = now - timedelta(days=back + 1)
        parts = sample_day(database_url, day, ROWS_A_DAY, schema, clock) if back in asked else []
        numeric = [part.numeric for part in parts] or [np.empty((0, len(schema.numeric)), np.float32)]
        category = [part.category for part in parts] or [np.empty((0, len(schema.category)), object)]
        days.append((np.concatenate(numeric), np.concatenate(category)))
    return apart([features(*day, vocabulary) for day in days], schema.names)


def _days_with_rows(database_url: str, clock: Clock, now: datetime) -> set[int]:
    """How many days before `now` the days are that have any: one question in the place of 35 without an answer."""
    instant, end = (PREDICTIONS.c.event_us if clock == "event" else PREDICTIONS.c.received_us), to_us(now)
    back = sa.cast(sa.func.floor((end - 1 - instant) / sa.literal(DAY_US)), sa.Integer)
    chosen = instant.between(end - (DAYS + DAYS_BEFORE) * DAY_US, end - 1)
    query = sa.select(back).where(chosen).distinct()
    return set(ask_log(database_url, lambda connection: list(connection.scalars(query))))


def apart(days: Sequence[NDArray[np.float32]], names: Sequence[str]) -> Apart:
    """How well they are told apart.

    Args:
        days: features [n, f] of each day, the newest first; seven of this week, then those before.
        names: of the features [f].
    """
    used = [place for place, day in enumerate(days) if len(day) >= LEAST_ROWS]
    this_week = [place for place in used if place < DAYS]
    rows = sum(len(days[place]) for place in used)
    if len(this_week) < LEAST_DAYS or len(used) - len(this_week) < 2 * LEAST_DAYS:
        why = f"takes {LEAST_DAYS} days of this week and {2 * LEAST_DAYS} before it with {LEAST_ROWS} rows each, got "
        return Apart(None, None, None, (), rows, f"{why}{len(this_week)} and {len(used) - len(this_week)}")
    x = np.concatenate([days[place] for place in used])
    day = np.repeat(used, [len(days[place]) for place in used])
    by_fold, gain = _judge(x, day)
    mean, error = float(np.mean(by_fold)), float(np.std(by_fold, ddof=1) / np.sqrt(len(by_fold)))
    told = np.argsort(-gain, kind="stable")[:TOLD]
    by = tuple((names[column], float(gain[column])) for column in told if gain[column] > 0)
    return Apart(mean, max(mean - 2 * error, 0.0), min(mean + 2 * error, 1.0), by, rows)


def _judge(x: NDArray[np.float32], day: NDArray[np.int64]) -> tuple[list[float], NDArray[np.float64]]:
    """AUC of each fold, by trees that saw none of its days; and the features' shares of the gain [f].

    A fold is a day of this week and the same weekday of the weeks before, so a weekday tells nothing.
    """
    import lightgbm

    found, gain = [], np.zeros(x.shape[1])
    label = (day < DAYS).astype(np.float64)
    for fold in range(DAYS):
        held = day % DAYS == fold
        if len(np.unique(label[held])) < 2:
            continue
        booster = lightgbm.train(_PARAMETERS, lightgbm.Dataset(x[~held], label[~held]), num_boost_round=_ROUNDS)
        found.append(auc(label[held], np.asarray(booster.predict(x[held], num_threads=1))))
        gain += booster.feature_importance("gain")
    return found, gain / max(float(gain.sum()), 1e-12)
