"""What a release had on its own validation days: the yardstick that later days are held against.

Pure: the pipeline measures it when it packages a model, the monitor reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.statistics import histograms

Floats = NDArray[np.float64]
LEAST_DAYS: Final = 14  # below, a standard deviation is known to no better than a factor of 1.5
LEAST_ROWS: Final = 12  # labelled rows of a day; fewer rows count less, see `Expectation.excess`
_Z: Final = 1.645  # of 95 %, one-sided


@dataclass(frozen=True, slots=True)
class Expectation:
    """Mean and standard deviation of a daily number over days of health.

    Attributes:
        days: how many had the number.
        rows: labelled rows of such a day, the mean.
    """

    mean: float
    sd: float
    days: int
    rows: float

    @property
    def careful_sd(self) -> float:
        """Upper end of the 95 % interval of `sd`: few days know it badly.

        By the chi-squared distribution, its quantile as Wilson and Hilferty (1931) approximate it.
        """
        free = self.days - 1
        quantile = free * (1 - 2 / (9 * free) - _Z * (2 / (9 * free)) ** 0.5) ** 3
        return float(self.sd * (free / quantile) ** 0.5)

    def excess(self, value: Floats, rows: NDArray[Any], tolerance: float) -> Floats:
        """How far daily values are above the mean and what is tolerated, in careful standard deviations.

        Args:
            rows: labelled rows of each day. A day of fewer than the usual is given the variance that it would have if
                all of it came from single rows: more than it has, as days differ among themselves.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = self.careful_sd * np.sqrt(np.maximum(1.0, self.rows / rows))
            return (value - self.mean - tolerance) / scale


def paired_loss(model: NDArray[Any], reference: NDArray[Any]) -> Floats:
    """Log-loss of the model less that of the reference scorer on the same rows, each shifted to the day; nats a row.

    Args:
        model, reference: counts [..., 3, 64] by label state (none, negative, positive) and bin of the score.

    Returns:
        [...]; NaN where fewer than `LEAST_ROWS` are labelled, in one class only, or the reference did not score.
    """
    enough = (model[..., 1:, :].sum((-1, -2)) >= LEAST_ROWS) & (reference[..., 1:, :].sum((-1, -2)) > 0)
    own = histograms.adjusted_loss(model[..., 1, :], model[..., 2, :])
    other = histograms.adjusted_loss(reference[..., 1, :], reference[..., 2, :])
    return np.where(enough, own - other, np.nan)


def lost_auc(model: NDArray[Any], reference: NDArray[Any]) -> Floats:
    """AUC of the reference scorer less that of the model on the same rows: what its order is behind.

    On calm days hardly a row is positive, so that even scores of chance cost little log-loss. Their AUC is .5 all the
    same.

    Args:
        model, reference: as above.

    Returns:
        [...]; NaN where a class has fewer than `LEAST_ROWS` rows, or the reference did not score.
    """
    enough = (fewer(model) >= LEAST_ROWS) & (reference[..., 1:, :].sum((-1, -2)) > 0)
    own = histograms.auc(model[..., 1, :], model[..., 2, :])
    return np.where(enough, histograms.auc(reference[..., 1, :], reference[..., 2, :]) - own, np.nan)


def fewer(counts: NDArray[Any]) -> NDArray[np.int64]:
    """[...] labelled rows of the class that has fewer, of counts [..., 3, 64]: what an AUC's error depends on."""
    found: NDArray[np.int64] = counts[..., 1:, :].sum(-1).min(-1)
    return found


def paired_score(model: NDArray[Any], reference: NDArray[Any]) -> Floats:
    """Mean score of the model less that of the reference scorer, of labelled rows; counts and NaN as above."""

    def mean(counts: NDArray[Any]) -> Floats:
        rows = counts[..., 1:, :].sum(-2)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = (rows * histograms.MIDDLES).sum(-1) / rows.sum(-1)
        return found

    by_label = model[..., 1:, :].sum(-1)
    enough = (by_label.sum(-1) >= LEAST_ROWS) & (by_label.min(-1) > 0)
    return np.where(enough, mean(model) - mean(reference), np.nan)


def expect(value: Floats, rows: NDArray[Any]) -> Expectation | None:
    """Of daily numbers [d] and the labelled rows of each; None: fewer than `LEAST_DAYS` are known, or all are equal."""
    known = ~np.isnan(value)
    if known.sum() < LEAST_DAYS or np.ptp(value[known]) == 0:
        return None
    chosen = value[known]
    return Expectation(float(chosen.mean()), float(chosen.std(ddof=1)), int(known.sum()), float(np.mean(rows[known])))


@dataclass(frozen=True, slots=True)
class Release:
    """What a release had on its validation days, in comparison with its reference scorer.

    Attributes:
        loss: of `paired_loss`; None is unknown, as is a slice that is not there.
        score: of `paired_score`.
        auc: of `lost_auc`; `rows` are those of the smaller class.
        slices: of `paired_loss` on the rows of each slice alone, by "origin=JFK".
    """

    loss: Expectation | None
    score: Expectation | None
    auc: Expectation | None
    slices: dict[str, Expectation]


_FIELDS: Final = {"mean": "", "sd": "_day_sd", "days": "_days", "rows": "_rows"}
_LOSS: Final = "shifted_loss"
_SCORE: Final = "paired_score"
_AUC: Final = "lost_auc"


def to_metrics(release: Release) -> dict[str, float]:
    """As numbers of a manifest: "shifted_loss", "shifted_loss_day_sd", "shifted_loss_days/origin=JFK"."""
    found: dict[str, float] = {}
    named = [(_LOSS, "", release.loss), (_SCORE, "", release.score), (_AUC, "", release.auc)]
    named += [(_LOSS, f"/{name}", expected) for name, expected in release.slices.items()]
    for name, end, expected in named:
        if expected is not None:
            found |= {f"{name}{tail}{end}": float(getattr(expected, field)) for field, tail in _FIELDS.items()}
    return found


def from_metrics(metrics: Mapping[str, float]) -> Release:
    """The inverse; what the metrics do not have is None."""

    def one(name: str, end: str = "") -> Expectation | None:
        values = {field: metrics.get(f"{name}{tail}{end}") for field, tail in _FIELDS.items()}
        mean, sd, days, rows = values["mean"], values["sd"], values["days"], values["rows"]
        if mean is None or sd is None or days is None or rows is None or days < LEAST_DAYS or sd <= 0:
            return None
        return Expectation(mean, sd, int(days), rows)

    ends = [name.removeprefix(_LOSS) for name in metrics if name.startswith(f"{_LOSS}/")]
    slices = {end[1:]: expected for end in ends if (expected := one(_LOSS, end)) is not None}
    return Release(one(_LOSS), one(_SCORE), one(_AUC), slices)


def measure_release(
    label: NDArray[Any],
    model: NDArray[Any],
    reference: NDArray[Any],
    day: NDArray[Any],
    slices: Mapping[str, NDArray[np.bool_]],
) -> Release:
    """Of validation rows [n], which neither scorer was trained on.

    Args:
        label: [n] of 0 and 1, or bool.
        model, reference: scores [n].
        day: [n], any sortable dtype.
        slices: masks [n] by the slice's name.
    """
    _, place = np.unique(day, return_inverse=True)

    def part(chosen: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        own, other = (
            _counts(label[chosen], score[chosen], place[chosen], place.max() + 1) for score in (model, reference)
        )
        return own, other

    def loss(own: NDArray[np.int64], other: NDArray[np.int64]) -> Expectation | None:
        return expect(paired_loss(own, other), own.sum((-1, -2)))

    own, other = part(slice(None))
    parts = {name: loss(*part(chosen)) for name, chosen in slices.items()}
    return Release(
        loss(own, other),
        expect(paired_score(own, other), own.sum((-1, -2))),
        expect(lost_auc(own, other), fewer(own)),
        {name: found for name, found in parts.items() if found is not None},
    )


def _counts(label: NDArray[Any], score: NDArray[Any], place: NDArray[Any], days: int) -> NDArray[np.int64]:
    counts = np.zeros((days, 3, histograms.BINS), np.int64)
    np.add.at(counts, (place, 1 + np.asarray(label).astype(int), histograms.bin_of(score)), 1)
    return counts
