"""Quality from counts against quality from rows."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from monitoring.statistics import histograms, quality

Rows = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """A calibrated scorer of 20,000 rows."""
    rng = np.random.default_rng(0)
    score = 1 / (1 + np.exp(-rng.normal(-1, 1.2, 20_000)))
    return rng.random(20_000) < score, score


def _counts(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    label, score = rows
    bin_ = histograms.bin_of(score)
    return np.bincount(bin_[~label], minlength=histograms.BINS), np.bincount(bin_[label], minlength=histograms.BINS)


def test_binning_costs_less_than_a_thousandth_of_auc(rows: Rows) -> None:
    """Of one day's 900 rows a hundredth."""
    assert histograms.auc(*_counts(rows)) == pytest.approx(quality.auc(*rows), abs=0.001)
    day = rows[0][:900], rows[1][:900]
    assert histograms.auc(*_counts(day)) == pytest.approx(quality.auc(*day), abs=0.01)


def test_one_class_is_unknown() -> None:
    some, none = np.ones(histograms.BINS, int), np.zeros(histograms.BINS, int)
    for measure in (histograms.auc, histograms.adjusted_loss, histograms.calibration_slope):
        for negative, positive in ((some, none), (none, some), (none, none)):
            assert np.isnan(measure(negative, positive))


def test_a_calibrated_scorer_has_the_auc_that_it_expects(rows: Rows) -> None:
    negative, positive = _counts(rows)
    assert histograms.expected_auc(negative + positive) == pytest.approx(quality.auc(*rows), abs=0.01)


def test_the_estimate_cannot_see_labels(rows: Rows) -> None:
    """Which is its weakness: a relation that changed leaves it where it was."""
    label, score = rows
    negative, positive = _counts(rows)
    other_negative, other_positive = _counts((np.random.default_rng(1).permutation(label), score))
    same = histograms.expected_auc(negative + positive)
    assert histograms.expected_auc(other_negative + other_positive) == same
    assert histograms.auc(other_negative, other_positive) < same - 0.2


def test_the_shift_is_the_best_one_and_takes_out_what_every_row_shares(rows: Rows) -> None:
    label, score = rows
    logits = np.log(histograms.MIDDLES / (1 - histograms.MIDDLES))
    negative, positive = _counts(rows)

    def loss(shift: float) -> float:
        moved = logits + shift
        return float((np.logaddexp(0, -moved) * positive + np.logaddexp(0, moved) * negative).sum() / len(label))

    assert histograms.adjusted_loss(negative, positive) == pytest.approx(
        min(map(loss, np.linspace(-0.5, 0.5, 401))), abs=1e-5
    )
    moved = 1 / (1 + np.exp(-(np.log(score / (1 - score)) + 1)))
    assert histograms.adjusted_loss(*_counts((label, moved))) == pytest.approx(loss(0.0), abs=0.003)
    assert quality.log_loss(label, moved) > loss(0.0) + 0.05


def test_the_slope_is_that_of_a_logistic_regression(rows: Rows) -> None:
    label, score = rows
    extreme = 1 / (1 + np.exp(-2 * np.log(score / (1 - score))))
    found = histograms.calibration_slope(*_counts((label, extreme)))
    middle = histograms.MIDDLES[histograms.bin_of(extreme)]
    fitted = LogisticRegression(C=np.inf).fit(np.log(middle / (1 - middle))[:, None], label)
    assert found == pytest.approx(fitted.coef_[0, 0], abs=1e-3)
    assert found < 0.7


def test_counts_may_have_any_leading_axes(rows: Rows) -> None:
    negative, positive = _counts(rows)
    two = np.stack([negative, negative * 2]), np.stack([positive, positive * 2])
    for measure in (histograms.auc, histograms.adjusted_loss, histograms.calibration_slope):
        assert measure(*two) == pytest.approx(np.repeat(measure(negative, positive), 2))


def test_the_jackknife_of_a_mean_is_its_textbook_error() -> None:
    values = np.random.default_rng(0).normal(0, 1, 30)
    left = (values.sum() - values) / 29
    assert histograms.jackknife_error(left) == pytest.approx(values.std(ddof=1) / np.sqrt(30))
