"""Quality of a scorer from counts alone: labels by bin of the score.

An hour, a day or a month of traffic is two rows of 64 counts here, and sums of counts are counts: windows of any
length cost the same. All functions take counts [..., 64] by equal bins of [0, 1] and give [...]; NaN is unknown: no
rows, or rows of one class. Pure numpy.

Binning ties scores that differ by less than 1/64. On half a year of flights the AUC of 28 days moves by at most .0006
and that of a single day by .013; a test holds both against `monitoring.statistics.quality.auc`.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[Any]  # [..., BINS] of numbers
BINS: Final = 64
MIDDLES: Final[Floats] = (np.arange(BINS) + 0.5) / BINS
_LOGITS: Final[Floats] = np.log(MIDDLES / (1 - MIDDLES))
_STEPS: Final = 12  # of Newton; from 0 a logistic fit of one or two numbers has converged to 1e-9 after eight
_FARTHEST: Final = 12.0  # logits: an intercept beyond it is one class in all but name


def bin_of(score: NDArray[Any]) -> NDArray[np.int64]:
    """The bin [n] of each score; 1 belongs to the last bin.

    >>> bin_of(np.array([0.0, 0.015, 0.016, 1.0])).tolist()
    [0, 0, 1, 63]
    """
    return np.clip((np.asarray(score, np.float64) * BINS).astype(np.int64), 0, BINS - 1)


def auc(negative: Counts, positive: Counts) -> Floats:
    """Area under the ROC curve; a pair within one bin counts half."""
    below = np.cumsum(negative, axis=-1) - negative / 2
    pairs = np.sum(negative, axis=-1, dtype=np.float64) * np.sum(positive, axis=-1)
    return _ratio((positive * below).sum(axis=-1), pairs)


def expected_auc(rows: Counts) -> Floats:
    """The AUC that these scores have if each is the probability that it says (CBPE).

    Confidence-based performance estimation: expected counts of both classes stand in for the unknown ones. Garg et al.
    2022, "Leveraging unlabeled data to predict out-of-distribution performance", discuss when it may hold: a shift of
    the inputs alone, and a calibrated scorer.

    Args:
        rows: counts of all rows, labelled or not.
    """
    return auc(rows * (1 - MIDDLES), rows * MIDDLES)


def adjusted_loss(negative: Counts, positive: Counts) -> Floats:
    """Mean log-loss, nats a row, after the shift of all logits that is best for these rows.

    The shift takes out what a day adds to every row alike, a storm or a holiday, so that the discrimination is left.
    Whether probabilities are right on average is another question, with its own instrument.
    """
    rows = np.asarray(negative, np.float64) + positive
    total, wanted = rows.sum(axis=-1), np.sum(positive, axis=-1, dtype=np.float64)
    both = (wanted > 0) & (wanted < total)
    shift = np.zeros(np.shape(total))
    for _ in range(_STEPS):
        chance = _sigmoid(_LOGITS + shift[..., None])
        slope = np.maximum((rows * chance * (1 - chance)).sum(axis=-1), 1e-9)
        step = (wanted - (rows * chance).sum(axis=-1)) / slope
        shift = np.clip(shift + np.clip(step, -2, 2), -_FARTHEST, _FARTHEST)
    logits = _LOGITS + shift[..., None]
    # log(1 + exp(x)) without overflow.
    loss = np.logaddexp(0, -logits) * positive + np.logaddexp(0, logits) * negative
    return np.where(both, _ratio(loss.sum(axis=-1), total), np.nan)


def calibration_slope(negative: Counts, positive: Counts) -> Floats:
    """Slope of the label on the score's logit, with an intercept (Cox 1958): 1 is right, below it too extreme."""
    rows = np.asarray(negative, np.float64) + positive
    intercept, slope = np.zeros(rows.shape[:-1]), np.ones(rows.shape[:-1])
    for _ in range(_STEPS):
        chance = _sigmoid(intercept[..., None] + slope[..., None] * _LOGITS)
        weight, off = rows * chance * (1 - chance), positive - rows * chance
        a, b, c = (weight.sum(-1), (weight * _LOGITS).sum(-1), (weight * _LOGITS**2).sum(-1))
        first, second = off.sum(-1), (off * _LOGITS).sum(-1)
        determinant = np.maximum(a * c - b * b, 1e-9)
        intercept = np.clip(intercept + (c * first - b * second) / determinant, -_FARTHEST, _FARTHEST)
        slope = np.clip(slope + (a * second - b * first) / determinant, -_FARTHEST, _FARTHEST)
    wanted = np.sum(positive, axis=-1)
    return np.where((wanted > 0) & (wanted < rows.sum(-1)), slope, np.nan)


def left_out(parts: Counts) -> Counts:
    """Totals without one part each: [d, ...] of parts gives [d, ...], for the jackknife over days."""
    total: Counts = parts.sum(axis=0) - parts
    return total


def jackknife_error(values: Floats) -> Floats:
    """Standard error of a statistic, from its values [d, ...] with one part left out each (Efron and Stein 1981)."""
    count = len(values)
    if count == 0:
        return np.full(values.shape[1:], np.nan)
    found: Floats = np.sqrt((count - 1) / count * ((values - values.mean(axis=0)) ** 2).sum(axis=0))
    return found


def _sigmoid(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-logits))


def _ratio(above: Any, below: Any) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(below) > 0, np.asarray(above, np.float64) / below, np.nan)
