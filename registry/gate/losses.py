"""What a candidate loses to the champion on the same rows, and how well that is known.

Both score the same rows, so season and weather are in both; rows of a day share what is left of it, so days are what
is left out, one by one (jackknife: Efron and Stein 1981, "The jackknife estimate of variance"). Nothing is random.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitoring.statistics import histograms
from monitoring.statistics.paired import row_losses
from registry.gate.rows import Rows

Floats = NDArray[np.float64]
BINS: Final = 1_024  # of a score: ties of scores that differ by less move an AUC by less than 1e-5
_NORMAL: Final = NormalDist()
MEASURES: Final = ("AUC", "log-loss", "calibration")


@dataclass(frozen=True, slots=True)
class Found:
    """One measure. `error` is NaN for a single day."""

    loss: float
    error: float
    days: int

    def upper(self, alpha: float) -> float:
        """End of the one-sided interval that leaves out `alpha`; by Student's t."""
        return self.loss + quantile(alpha, self.days) * self.error

    def lower(self, alpha: float) -> float:
        """As `upper`, the other end."""
        return self.loss - quantile(alpha, self.days) * self.error

    def power(self, margin: float, alpha: float) -> float:
        """Chance that an equal candidate is inside the margin, with this standard error."""
        if not self.error > 0:
            return 1.0 if margin > 0 else 0.0
        return _NORMAL.cdf(margin / self.error - quantile(alpha, self.days))


@dataclass(frozen=True, slots=True)
class ByDay:
    """Sums of the days of some rows: windows, and draws of days, are sums of them.

    Attributes:
        counts: float64 [2 models, d, 2 classes, 1024], the champion first, negatives first.
        loss: [d], log-loss of the candidate less the champion's, summed over rows.
        rows, positives: [d].
        score: [2, d], summed scores.
    """

    counts: Floats
    loss: Floats
    rows: Floats
    positives: Floats
    score: Floats

    @classmethod
    def of(cls, rows: Rows) -> "ByDay":
        days, place = np.unique(rows.day, return_inverse=True)
        count, models = len(days), (rows.champion, rows.candidate)
        label = rows.label.astype(np.int64)
        counts = np.empty((2, count, 2, BINS))
        for model, score in enumerate(models):
            bin_ = np.clip((score * BINS).astype(np.int64), 0, BINS - 1)
            at = (place * 2 + label) * BINS + bin_
            counts[model] = np.bincount(at, minlength=count * 2 * BINS).reshape(count, 2, BINS)
        ahead = row_losses(rows.label, rows.candidate) - row_losses(rows.label, rows.champion)
        return cls(
            counts,
            np.bincount(place, ahead, count).astype(np.float64),
            np.bincount(place, minlength=count).astype(np.float64),
            np.bincount(place, rows.label, count).astype(np.float64),
            np.stack([np.bincount(place, score, count) for score in models]),
        )

    def drawn(self, chosen: NDArray[np.int64]) -> "ByDay":
        """Of these days, by their place; one that is drawn twice is two days."""
        return ByDay(
            self.counts[:, chosen], self.loss[chosen], self.rows[chosen], self.positives[chosen], self.score[:, chosen]
        )

    def measured(self) -> dict[str, Found]:
        """By measure."""
        days = len(self.rows)
        found = {}
        for name, value in zip(MEASURES, (self._auc, self._log_loss, self._calibration), strict=True):
            whole, without = value(left_out=False), value(left_out=True)
            error = float(histograms.jackknife_error(without)) if days > 1 else math.nan
            found[name] = Found(float(whole), error, days)
        return found

    def _auc(self, *, left_out: bool) -> Floats:
        total = self.counts.sum(1, keepdims=True) - self.counts if left_out else self.counts.sum(1)
        champion, candidate = histograms.auc(total[..., 0, :], total[..., 1, :])
        return np.asarray(champion - candidate)

    def _log_loss(self, *, left_out: bool) -> Floats:
        return np.asarray(_sum(self.loss, left_out) / _sum(self.rows, left_out))

    def _calibration(self, *, left_out: bool) -> Floats:
        rows = _sum(self.rows, left_out)
        positives = _sum(self.positives, left_out)
        champion, candidate = (np.abs(_sum(one, left_out) - positives) / rows for one in self.score)
        return np.asarray(candidate - champion)


def quantile(alpha: float, days: int) -> float:
    """Of Student's t with days - 1 degrees of freedom, one-sided (Fisher and Cornish 1960, to the second term).

    >>> round(quantile(0.05, 28), 2), round(quantile(0.05, 10_000), 3)
    (1.7, 1.645)
    """
    z, free = _NORMAL.inv_cdf(1 - alpha), max(1, days - 1)
    return z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)


def _sum(values: Floats, left_out: bool) -> Floats:
    total = np.asarray(values.sum(-1, keepdims=True))
    return np.asarray(total - values) if left_out else total[..., 0]
