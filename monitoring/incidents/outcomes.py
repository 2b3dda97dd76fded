"""Faults of labels, of the model, of the world; and seasons, which are no fault."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.schema import Category, Numeric
from monitoring.incidents.traffic import Random, Traffic

LEAK: Final = 0.12  # share of shuffled labels that takes .03 of an AUC of .75
RAMP_HOURS: Final = 7 * 24


def labels_missing(traffic: Traffic, rng: Random) -> Traffic:
    """The labels of a slice come no more: its source is off."""
    hit, name = traffic.slice_(rng)
    return traffic.with_(label=np.where(hit, np.nan, traffic.label), subjects=(name,))


def labels_flipped(traffic: Traffic, rng: Random) -> Traffic:
    """The labels of a slice mean the opposite."""
    hit, name = traffic.slice_(rng)
    return traffic.with_(label=np.where(hit, 1 - traffic.label, traffic.label), subjects=(name,))


def labels_lost(traffic: Traffic, _: Random) -> Traffic:
    """The source of labels writes ids that no row has: none of its labels arrives anywhere."""
    return traffic.with_(label=np.full(len(traffic), np.nan))


def labels_late(traffic: Traffic, rng: Random) -> Traffic:
    """Two thirds of the labels come later than the objective allows."""
    return traffic.with_(late=traffic.late | (rng.random(len(traffic)) < 2 / 3))


def random_scores(traffic: Traffic, rng: Random) -> Traffic:
    """A model whose scores are those of other rows: well spread, and worth nothing."""

    def shuffled(numeric: Numeric, category: Category) -> NDArray[np.float32]:
        return rng.permutation(traffic.scorer(numeric, category))

    return traffic.with_(scorer=shuffled)


def wrong_calibration(traffic: Traffic, _: Random) -> Traffic:
    """A release without its calibration: the order is right, the odds are three times too high."""

    def uncalibrated(numeric: Numeric, category: Category) -> NDArray[np.float32]:
        score = traffic.scorer(numeric, category)
        found: NDArray[np.float32] = 3 * score / (1 + 2 * score)
        return found

    return traffic.with_(scorer=uncalibrated)


def slow_leak(traffic: Traffic, rng: Random) -> Traffic:
    """What inputs tell of outcomes fades over a week, until .03 of the AUC is lost."""
    return _shuffled(traffic, rng, np.ones(len(traffic), bool))


def slow_leak_of_a_slice(traffic: Traffic, rng: Random) -> Traffic:
    """As `slow_leak`, for the rows of one slice only."""
    hit, name = traffic.slice_(rng)
    return _shuffled(traffic, rng, hit).with_(subjects=(name,))


def _shuffled(traffic: Traffic, rng: Random, hit: NDArray[np.bool_]) -> Traffic:
    """Labels of a growing share of rows exchanged among them: the share of positives stays."""
    age = (traffic.hour - traffic.hour[0]) / RAMP_HOURS if len(traffic) else np.zeros(0)
    chosen = np.flatnonzero(hit & (rng.random(len(traffic)) < LEAK * np.minimum(age, 1)))
    label = traffic.label.copy()
    label[chosen] = label[rng.permutation(chosen)]
    return traffic.with_(label=label)


def nothing_wrong(traffic: Traffic, _: Random) -> Traffic:
    """A month as it was."""
    return traffic
