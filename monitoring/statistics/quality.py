"""How good scores are: AUC, log-loss, Brier score, calibration error, and whether two scorers differ.

One definition for training, evaluation and monitoring, so that their numbers can be compared. Pure numpy.
Everywhere `label` is [n] of bool (or 0 and 1), and `score` the predicted probability that it is true, [n] of float in
[0, 1].
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.reports.quality import Interval, Quality

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
ECE_BINS: Final = 15


def auc(label: NDArray[Any], score: NDArray[Any]) -> float:
    """Area under the ROC curve: how often a true row scores above a false one; a tie counts half.

    Raises:
        ValueError: no rows, only one class, a missing label or score.
    """
    truth, value = _checked(label, score)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if positives == 0 or negatives == 0:
        raise ValueError(f"`label` must hold both classes, got {positives} true of {len(truth)} rows")
    # Mann-Whitney: the sum of the positives' ranks, where tied scores share the mean of their ranks.
    _, inverse, counts = np.unique(value, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    return float((rank[inverse][truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(label: NDArray[Any], score: NDArray[Any]) -> float:
    """Mean of -log(probability of what happened), in nats; scores are kept a float64 epsilon away from 0 and 1."""
    truth, value = _checked(label, score)
    epsilon = np.finfo(np.float64).eps
    value = np.clip(value, epsilon, 1 - epsilon)
    return float(-np.log(np.where(truth, value, 1 - value)).mean())


def brier(label: NDArray[Any], score: NDArray[Any]) -> float:
    """Mean squared difference between score and label."""
    truth, value = _checked(label, score)
    return float(((value - truth) ** 2).mean())


def ece(label: NDArray[Any], score: NDArray[Any], bins: int = ECE_BINS) -> float:
    """Expected calibration error: mean over rows of |share of true labels - mean score| of the row's bin.

    Args:
        bins: of equal mass, cut at the scores' quantiles. Equal scores share a bin, so the order of rows is no matter.
    """
    share, mean, rows = calibration_curve(label, score, bins)
    return float((np.abs(share - mean) * rows).sum() / rows.sum())


def calibration_curve(
    label: NDArray[Any], score: NDArray[Any], bins: int = ECE_BINS
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Share of true labels, mean score and rows of each bin of equal mass, low scores first, without empty bins."""
    truth, value = _checked(label, score)
    edges = np.quantile(value, np.linspace(0, 1, bins + 1)[1:-1])
    bin_ = np.searchsorted(edges, value, side="right")
    rows = np.bincount(bin_, minlength=bins)
    filled = rows > 0
    share = np.bincount(bin_, truth, bins)[filled] / rows[filled]
    mean = np.bincount(bin_, value, bins)[filled] / rows[filled]
    return share, mean, rows[filled].astype(np.int64)


def measure(label: NDArray[Any], score: NDArray[Any]) -> Quality:
    """All measures of one scorer.

    Raises:
        ValueError: no rows, a missing label or score.
    """
    truth, value = _checked(label, score)
    both = bool(truth.any() and not truth.all())
    return Quality(
        rows=len(truth),
        positive_share=float(truth.mean()),
        auc=auc(truth, value) if both else None,
        log_loss=log_loss(truth, value),
        brier=brier(truth, value),
        ece=ece(truth, value),
    )


def auc_difference_interval(
    label: NDArray[Any],
    a: NDArray[Any],
    b: NDArray[Any],
    blocks: NDArray[Any],
    rounds: int = 1000,
    seed: int = 0,
) -> Interval:
    """AUC of `a` less AUC of `b`, with a 95 % interval from a paired bootstrap over whole blocks.

    Rows of one day share what happened on it, so single rows are no independent draws: days are.

        >>> days = np.repeat(np.arange(20), 50)
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.random(1000) < 0.3
        >>> sharp, blunt = truth + rng.normal(0, 1, 1000), truth + rng.normal(0, 3, 1000)
        >>> found = auc_difference_interval(truth, sharp, blunt, days)
        >>> round(found.low, 2), round(found.difference, 2), round(found.high, 2)
        (0.13, 0.16, 0.19)

    Args:
        blocks: [n], what a row belongs to, e.g. its day; any sortable dtype.
        rounds: of resampling. One that draws a single class has no AUC and is left out.

    Raises:
        ValueError: no rows, only one class, a missing label or score, fewer than two blocks.
    """
    truth, _ = _checked(label, a)
    names, block = np.unique(blocks, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"`blocks` must name at least 2 blocks, got {len(names)}")
    estimate = auc(label, a) - auc(label, b)
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), rounds)
    pairs = (weights @ np.bincount(block, truth)) * (weights @ np.bincount(block, ~truth))
    wins = _wins(truth, np.asarray(a, np.float64), block) - _wins(truth, np.asarray(b, np.float64), block)
    # A resampled AUC is a quadratic form in the blocks' weights, so one matrix serves every round.
    difference = np.einsum("rp,pn,rn->r", weights, wins, weights, optimize=True)[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(difference, [0.025, 0.975])
    return Interval(float(low), estimate, float(high))


def auc_low(label: NDArray[Any], score: NDArray[Any], blocks: NDArray[Any], rounds: int = 1000, seed: int = 0) -> float:
    """Lower end of the 95 % interval of one scorer's AUC, by the same bootstrap: a constant scorer always has .5."""
    return 0.5 + auc_difference_interval(label, score, np.zeros(len(label)), blocks, rounds, seed).low


def _wins(truth: Bools, value: Floats, block: NDArray[np.intp]) -> Floats:
    """[p, n]: how many pairs of a true row of block p and a false row of block n are ranked rightly, ties half."""
    count = int(block.max()) + 1
    positive, positive_block = value[truth], block[truth]
    wins = np.zeros((count, count))
    for n in range(count):
        negative = np.sort(value[~truth & (block == n)])
        below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
        wins[:, n] = np.bincount(positive_block, below / 2, count)
    return wins


def _checked(label: NDArray[Any], score: NDArray[Any]) -> tuple[Bools, Floats]:
    truth, value = np.asarray(label), np.asarray(score, np.float64)
    if truth.ndim != 1 or truth.shape != value.shape or len(truth) == 0:
        raise ValueError(f"`label` and `score` must be rows of one length, got {truth.shape} and {value.shape}")
    if np.isnan(value).any() or (truth.dtype.kind == "f" and np.isnan(truth).any()):
        raise ValueError("`label` and `score` must not be missing, got NaN; leave rows without a label out")
    return truth.astype(bool), value
