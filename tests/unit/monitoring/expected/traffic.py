"""Made traffic as hours: labels that a model knows something of, its reference scorer a little less."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.hours.hour import Hour, Scores
from monitoring.statistics.expectation import Release, measure_release
from monitoring.statistics.histograms import BINS, bin_of
from monitoring.statistics.paired import row_losses

Floats = NDArray[np.float64]
FIRST = (date(2013, 7, 1) - date(1970, 1, 1)).days * 24 + 4  # midnight in New York, summer time
_NONE: Any = np.zeros(0)


def sigmoid(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-logits))


@dataclass(frozen=True)
class Rows:
    """Of `hours` hours from FIRST on, sorted; arrays [n]. Label NaN is none; the challenger NaN throughout: none."""

    hour: NDArray[np.int64]
    label: Floats
    model: Floats
    reference: Floats
    challenger: Floats
    origin: NDArray[np.str_] = field(repr=False)

    def slices(self) -> dict[str, NDArray[np.bool_]]:
        return {f"origin={name}": self.origin == name for name in np.unique(self.origin)}

    def where(self, mask: NDArray[np.bool_], **changed: Any) -> "Rows":
        """With other values in some rows."""
        return replace(self, **{name: np.where(mask, value, getattr(self, name)) for name, value in changed.items()})

    def since(self, day: int) -> NDArray[np.bool_]:
        """Rows from the day of this number on."""
        return self.hour >= FIRST + 24 * day

    def release(self) -> Release:
        known = ~np.isnan(self.label)
        slices = {name: mask[known] for name, mask in self.slices().items()}
        day = (self.hour[known] - FIRST) // 24
        return measure_release(self.label[known], self.model[known], self.reference[known], day, slices)

    def hours(self) -> list[Hour]:
        return list(self._hours())

    def _hours(self) -> Iterator[Hour]:
        for hour in np.unique(self.hour):
            here = self.hour == hour
            slices = {name: self._scores(here & mask) for name, mask in self.slices().items() if (here & mask).any()}
            yield made_hour(int(hour), int(here.sum()), self._scores(here), slices)

    def _scores(self, mask: NDArray[np.bool_]) -> Scores:
        label, model, reference = self.label[mask], self.model[mask], self.reference[mask]
        state = np.where(np.isnan(label), 0, 1 + np.nan_to_num(label)).astype(int)
        known = state > 0
        own, other, late = (
            row_losses(label[known], score[known]) for score in (model, reference, self.challenger[mask])
        )
        return Scores(
            _counts(state, model),
            np.bincount(state, model, 3).astype(np.float64),
            np.array([own.sum(), other.sum(), late.sum()]),
            np.array([[(own - one).sum(), ((own - one) ** 2).sum()] for one in (other, late)]),
            _counts(state, reference) if not np.isnan(reference).any() else np.zeros((3, BINS), np.int64),
        )


def traffic(days: int = 35, rows: int = 40, seed: int = 0) -> Rows:
    """Health: so many rows each hour. A day shifts all of its logits, as weather does."""
    rng = np.random.default_rng(seed)
    count = days * 24 * rows
    hour = FIRST + np.repeat(np.arange(days * 24), rows)
    what = rng.normal(-1, 1.2, count)
    shift = rng.normal(0, 0.4, days)[(hour - FIRST) // 24]
    label = (rng.random(count) < sigmoid(what + shift)).astype(float)
    guess = what + rng.normal(0, 0.4, count)
    return Rows(hour, label, sigmoid(what), sigmoid(guess), sigmoid(guess), rng.choice(["EWR", "JFK", "LGA"], count))


def made_hour(hour: int, rows: int, scores: Scores, slices: dict[str, Scores]) -> Hour:
    """With nothing but scores in it."""
    return Hour(
        hour=hour,
        digest="d" * 64,
        role="champion",
        rows=rows,
        requests=rows,
        repeated_rows=0,
        repeated_ids=0,
        labels_late=0,
        missing=_NONE,
        unknown=_NONE,
        bins=_NONE,
        sums=_NONE,
        low=_NONE,
        high=_NONE,
        distinct=_NONE,
        novel=_NONE,
        categories=(),
        relations=_NONE,
        relations_off=_NONE,
        scores=scores,
        slices=slices,
    )


def _counts(state: NDArray[np.int64], score: Floats) -> NDArray[np.int64]:
    counts = np.zeros((3, BINS), np.int64)
    np.add.at(counts, (state, bin_of(score)), 1)
    return counts
