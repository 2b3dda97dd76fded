"""How good scores are: AUC, log-loss, Brier score, calibration error, and whether two scorers differ.

One definition for training, evaluation and monitoring, so that their numbers can be compared. Pure numpy.
Everywhere `late` is the label, [n] of bool (or 0 and 1), and `score` the probability of it, [n] of float in [0, 1].
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.reports.quality import Interval, Quality

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
ECE_BINS: Final = 15


def auc(late: NDArray[Any], score: NDArray[Any]) -> float:
    """Area under the ROC curve: how often a late row scores above one that is not; a tie counts half.

    Raises:
        ValueError: no rows, only one class, a missing label or score.
    """
    label, value = _checked(late, score)
    positives = int(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        raise ValueError(f"`late` must hold both classes, got {positives} late of {len(label)} rows")
    # Mann-Whitney: the sum of the positives' ranks, where tied scores share the mean of their ranks.
    _, inverse, counts = np.unique(value, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    return float((rank[inverse][label].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(late: NDArray[Any], score: NDArray[Any]) -> float:
    """Mean of -log(probability of what happened), in nats; scores are kept a float64 epsilon away from 0 and 1."""
    label, value = _checked(late, score)
    epsilon = np.finfo(np.float64).eps
    value = np.clip(value, epsilon, 1 - epsilon)
    return float(-np.log(np.where(label, value, 1 - value)).mean())


def brier(late: NDArray[Any], score: NDArray[Any]) -> float:
    """Mean squared difference between score and label."""
    label, value = _checked(late, score)
    return float(((value - label) ** 2).mean())


def ece(late: NDArray[Any], score: NDArray[Any], bins: int = ECE_BINS) -> float:
    """Expected calibration error: mean over rows of |share of late - mean score| of the row's bin.

    Args:
        bins: of equal mass, cut at the scores' quantiles. Equal scores share a bin, so the order of rows is no matter.
    """
    share, mean, rows = calibration_curve(late, score, bins)
    return float((np.abs(share - mean) * rows).sum() / rows.sum())


def calibration_curve(
    late: NDArray[Any], score: NDArray[Any], bins: int = ECE_BINS
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Share of late, mean score and rows of each bin of equal mass, low scores first; empty bins are left out."""
    label, value = _checked(late, score)
    edges = np.quantile(value, np.linspace(0, 1, bins + 1)[1:-1])
    bin_ = np.searchsorted(edges, value, side="right")
    rows = np.bincount(bin_, minlength=bins)
    filled = rows > 0
    share = np.bincount(bin_, label, bins)[filled] / rows[filled]
    mean = np.bincount(bin_, value, bins)[filled] / rows[filled]
    return share, mean, rows[filled].astype(np.int64)


def measure(late: NDArray[Any], score: NDArray[Any]) -> Quality:
    """All measures of one scorer.

    Raises:
        ValueError: no rows, a missing label or score.
    """
    label, value = _checked(late, score)
    both = bool(label.any() and not label.all())
    return Quality(
        rows=len(label),
        positive_share=float(label.mean()),
        auc=auc(label, value) if both else None,
        log_loss=log_loss(label, value),
        brier=brier(label, value),
        ece=ece(label, value),
    )


def auc_difference_interval(
    late: NDArray[Any],
    a: NDArray[Any],
    b: NDArray[Any],
    blocks: NDArray[Any],
    rounds: int = 1000,
    seed: int = 0,
) -> Interval:
    """AUC of `a` less AUC of `b`, with a 95 % interval from a paired bootstrap over whole blocks.

    Flights of one day share weather and delays, so single rows are no independent draws: days are.

    Args:
        blocks: [n], what a row belongs to, e.g. its day; any sortable dtype.
        rounds: of resampling. One that draws a single class has no AUC and is left out.

    Raises:
        ValueError: no rows, only one class, a missing label or score, fewer than two blocks.
    """
    label, _ = _checked(late, a)
    names, block = np.unique(blocks, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"`blocks` must name at least 2 blocks, got {len(names)}")
    estimate = auc(late, a) - auc(late, b)
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), rounds)
    pairs = (weights @ np.bincount(block, label)) * (weights @ np.bincount(block, ~label))
    wins = _wins(label, np.asarray(a, np.float64), block) - _wins(label, np.asarray(b, np.float64), block)
    # A resampled AUC is a quadratic form in the blocks' weights, so one matrix serves every round.
    difference = np.einsum("rp,pn,rn->r", weights, wins, weights, optimize=True)[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(difference, [0.025, 0.975])
    return Interval(float(low), estimate, float(high))


def auc_low(late: NDArray[Any], score: NDArray[Any], blocks: NDArray[Any], rounds: int = 1000, seed: int = 0) -> float:
    """Lower end of the 95 % interval of one scorer's AUC, by the same bootstrap: a constant scorer always has .5."""
    return 0.5 + auc_difference_interval(late, score, np.zeros(len(late)), blocks, rounds, seed).low


def _wins(label: Bools, value: Floats, block: NDArray[np.intp]) -> Floats:
    """[p, n]: how many pairs of a late row of block p and another row of block n are ranked rightly, ties half."""
    count = int(block.max()) + 1
    positive, positive_block = value[label], block[label]
    wins = np.zeros((count, count))
    for n in range(count):
        negative = np.sort(value[~label & (block == n)])
        below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
        wins[:, n] = np.bincount(positive_block, below / 2, count)
    return wins


def _checked(late: NDArray[Any], score: NDArray[Any]) -> tuple[Bools, Floats]:
    label, value = np.asarray(late), np.asarray(score, np.float64)
    if label.ndim != 1 or label.shape != value.shape or len(label) == 0:
        raise ValueError(f"`late` and `score` must be rows of one length, got {label.shape} and {value.shape}")
    if np.isnan(value).any() or (label.dtype.kind == "f" and np.isnan(label).any()):
        raise ValueError("`late` and `score` must not be missing, got NaN; leave rows without a label out")
    return label.astype(bool), value
