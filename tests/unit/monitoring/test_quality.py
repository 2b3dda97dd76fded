"""The quality measures against scikit-learn, and the interval against what it promises."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from monitoring.statistics import quality

Rows = tuple[NDArray[np.bool_], NDArray[np.float64]]


def _rows(n: int, seed: int, decimals: int = 9) -> Rows:
    """Calibrated scores, rounded: few decimals make many ties."""
    rng = np.random.default_rng(seed)
    score = rng.beta(1, 3, n)
    return rng.random(n) < score, score.round(decimals)


@pytest.mark.parametrize("decimals", [9, 2, 0])
@pytest.mark.parametrize("n", [7, 3000])
def test_measures_equal_scikit_learn(n: int, decimals: int) -> None:
    late, score = _rows(n, seed=4, decimals=decimals)
    measured = quality.measure(late, score)
    assert measured.rows == n
    assert measured.positive_share == pytest.approx(late.mean(), abs=1e-12)
    assert measured.auc == pytest.approx(roc_auc_score(late, score), abs=1e-12)
    assert measured.brier == pytest.approx(brier_score_loss(late, score), abs=1e-12)
    assert measured.log_loss == pytest.approx(sklearn_log_loss(late, score), abs=1e-9)


def test_ece_is_zero_when_calibrated_and_the_shift_when_not() -> None:
    late, score = _rows(200_000, seed=0)
    assert quality.ece(late, score) < 0.005
    assert quality.ece(late, score + 0.1) == pytest.approx(0.1, abs=0.005)


def test_ece_of_a_hand_made_case_and_in_any_order() -> None:
    late = np.array([0, 1, 1, 1], bool)
    score = np.array([0.2, 0.2, 0.6, 0.6])
    assert quality.ece(late, score, bins=2) == pytest.approx(0.5 * 0.3 + 0.5 * 0.4)
    late, score = _rows(1000, seed=3, decimals=1)
    order = np.random.default_rng(0).permutation(1000)
    assert quality.ece(late, score) == pytest.approx(quality.ece(late[order], score[order]), abs=1e-12)


def test_one_class_has_no_auc() -> None:
    late, score = np.zeros(5, bool), np.linspace(0, 1, 5)
    with pytest.raises(ValueError, match="both classes, got 0 true of 5"):
        quality.auc(late, score)
    measured = quality.measure(late, score)
    assert measured.auc is None
    assert measured.brier == pytest.approx((score**2).mean())


def test_float_labels_count_and_missing_ones_are_refused() -> None:
    late, score = _rows(50, seed=1)
    assert quality.auc(late.astype(np.float64), score) == quality.auc(late, score)
    with pytest.raises(ValueError, match="missing"):
        quality.measure(np.where(late, np.nan, 0.0), score)
    with pytest.raises(ValueError, match="one length"):
        quality.brier(late[:-1], score)
    with pytest.raises(ValueError, match="one length"):
        quality.measure(late[:0], score[:0])


def test_resampled_differences_equal_scikit_learn_on_the_resampled_rows() -> None:
    """The quadratic form against the plain way: repeat the rows of the drawn blocks and measure."""
    late, score = _rows(400, seed=2, decimals=2)
    other = (score + np.random.default_rng(1).normal(0, 0.2, 400)).round(1)
    blocks = np.arange(400) % 8
    drawn = np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), 200)
    plain = []
    for weights in drawn:
        rows = np.repeat(np.arange(400), weights[blocks])
        plain.append(roc_auc_score(late[rows], score[rows]) - roc_auc_score(late[rows], other[rows]))
    interval = quality.auc_difference_interval(late, score, other, blocks, rounds=200, seed=5)
    assert [interval.low, interval.high] == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=1e-12)
    assert interval.difference == pytest.approx(roc_auc_score(late, score) - roc_auc_score(late, other), abs=1e-12)


def test_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    """Two equally good scorers on rows whose blocks share a mood: the true difference is 0."""
    covered = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        blocks = np.repeat(np.arange(30), 40)
        truth = rng.normal(0, 1, 1200) + rng.normal(0, 1, 30)[blocks]
        late = truth > 1
        noise = rng.normal(0, 1, (2, 1200)) + rng.normal(0, 0.5, (2, 30))[:, blocks]
        interval = quality.auc_difference_interval(late, truth + noise[0], truth + noise[1], blocks, 300, seed)
        covered += interval.low <= 0 <= interval.high
    assert 0.87 <= covered / 150 <= 0.99


def test_interval_needs_two_blocks_and_repeats_by_seed() -> None:
    late, score = _rows(100, seed=6)
    with pytest.raises(ValueError, match="at least 2 blocks, got 1"):
        quality.auc_difference_interval(late, score, score**2, np.zeros(100))
    days = np.array(["2013-06-01", "2013-06-02"], "datetime64[D]")[np.arange(100) % 2]
    other = 1 - score
    first = quality.auc_difference_interval(late, score, other, days, 50, seed=1)
    assert first == quality.auc_difference_interval(late, score, other, days, 50, seed=1)
    assert first.low <= first.difference <= first.high


def test_lower_end_of_one_auc_is_that_of_the_resampled_rows() -> None:
    late, score = _rows(400, seed=2, decimals=2)
    blocks = np.arange(400) % 8
    plain = []
    for weights in np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), 200):
        rows = np.repeat(np.arange(400), weights[blocks])
        plain.append(roc_auc_score(late[rows], score[rows]))
    low = quality.auc_low(late, score, blocks, rounds=200, seed=5)
    assert low == pytest.approx(np.quantile(plain, 0.025), abs=1e-12)
