"""Alarms that may be looked at each day: their rate in health, their delay in sickness."""

import math

import numpy as np
import pytest

from monitoring.statistics import sequential
from monitoring.statistics.expectation import Expectation, Release, expect, from_metrics, measure_release, to_metrics


def test_the_rate_holds_in_health_looked_at_each_day() -> None:
    """Standard normal days without any slack, the worst case allowed: at most one year of ten, at a rate of .1."""
    years = np.random.default_rng(0).normal(0, 1, (1_000, 365))
    highest = sequential.log_detector(years).max(axis=1)
    false = int((highest >= math.log(sequential.year_limit(0.1))).sum())
    assert 5 < false < 100  # none at all would be a limit that nothing reaches


def test_a_fault_is_noticed_the_sooner_the_larger_it_is() -> None:
    limit = math.log(sequential.year_limit(0.01))
    delays = []
    for size in (1.0, 2.0, 10.0):
        days = np.concatenate([np.zeros(28), np.full(28, size)])
        delays.append(int(np.flatnonzero(sequential.log_detector(days) >= limit)[0]) - 27)
    assert delays == sorted(delays, reverse=True)
    assert delays[-1] == 1


def test_it_forgets_when_health_is_back() -> None:
    days = np.concatenate([np.full(7, 2.5), np.full(14, -0.5)])
    found = sequential.log_detector(days)
    assert found[6] > 10 > 2 > found[-1]


def test_a_day_without_evidence_changes_nothing() -> None:
    found = sequential.log_detector(np.array([1.0, np.nan, np.nan]))
    assert found.tolist() == pytest.approx([found[0]] * 3)


def test_one_wild_day_does_not_count_without_end() -> None:
    assert sequential.log_single(np.array([1e9])) == sequential.log_single(np.array([sequential.FARTHEST]))


def test_the_detector_is_the_sum_of_a_bet_placed_on_each_day() -> None:
    days = np.array([0.5, -0.3, 2.0])
    factors = np.exp(sequential.log_factors(days))
    by_hand = sum(factors[:, start:].prod(axis=1) for start in range(3)).mean()
    assert sequential.log_detector(days)[-1] == pytest.approx(math.log(by_hand))


def test_many_slices_ask_for_more_and_the_unknown_are_not_counted() -> None:
    few, many = np.log([150.0, 1.0]), np.log([150.0] + [1.0] * 99)
    assert sequential.e_bh(few, 0.01).tolist() == [False, False]
    assert sequential.e_bh(np.log([250.0, 1.0]), 0.01).tolist() == [True, False]
    assert not sequential.e_bh(many, 0.01).any()
    assert sequential.e_bh(np.array([math.log(150.0), np.nan]), 0.01).tolist() == [True, False]
    assert sequential.e_bh(np.log([110.0, 120.0, 130.0]), 0.01).all()  # together they need no more than one alone


def test_few_days_are_known_badly_and_few_rows_too() -> None:
    usual = Expectation(mean=0.0, sd=1.0, days=30, rows=900.0)
    # The chi-squared quantile itself: 17.71 of 29 degrees of freedom.
    assert usual.careful_sd == pytest.approx((29 / 17.708) ** 0.5, abs=0.003)
    assert Expectation(0.0, 1.0, 14, 900.0).careful_sd > usual.careful_sd
    night = usual.excess(np.array([3.0, 3.0]), np.array([900, 9]), 0.0)
    assert night[1] == pytest.approx(night[0] / 10)


def test_too_few_days_expect_nothing() -> None:
    value, rows = np.random.default_rng(0).normal(size=20), np.full(20, 100)
    assert expect(value, rows) is not None
    value[:7] = np.nan
    assert expect(value, rows) is None


def test_a_release_is_the_same_after_the_manifest() -> None:
    rng = np.random.default_rng(0)
    label, day = rng.random(6_000) < 0.3, np.repeat(np.arange(20), 300)
    model = np.clip(0.3 + 0.2 * label + rng.normal(0, 0.1, 6_000), 0.01, 0.99)
    reference = np.clip(0.3 + 0.1 * label + rng.normal(0, 0.1, 6_000), 0.01, 0.99)
    half = np.arange(6_000) % 2 == 0
    found = measure_release(label, model, reference, day, {"half=a": half, "rare=b": np.arange(6_000) < 10})
    assert found.loss is not None
    assert found.loss.mean < -0.05
    assert found.loss.days == 20
    assert found.loss.rows == 300
    assert set(found.slices) == {"half=a"}
    assert found.slices["half=a"].rows == 150
    assert from_metrics(to_metrics(found)) == found
    assert from_metrics({"auc": 0.7}) == Release(None, None, None, {})
