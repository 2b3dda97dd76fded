"""Scores of everybody that is compared: on the month that chose the release, and on the months after it."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.workspace import Workspace
from models.export import to_onnx
from models.preprocess import fit_vocabulary
from models.score import score
from monitoring.expected.totals import ALL, Days
from monitoring.scorer.trees import Rows, grow, probabilities
from monitoring.statistics import expectation, histograms
from pipelines import checkpoint
from pipelines.dataset import Dataset, read_dataset, split
from tasks import load_schema

Floats = NDArray[np.float64]
ROUNDS: Final = 100  # trees of the reference scorer and of the challenger
_WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class Scored:
    """Labelled rows [n]. `challenger` is NaN where there is none; `slices` are masks by name."""

    label: NDArray[np.bool_]
    day: NDArray[np.datetime64]
    model: Floats
    reference: Floats
    challenger: Floats
    slices: dict[str, NDArray[np.bool_]]

    def release(self) -> expectation.Release:
        """What these rows say a sound release is to its reference scorer."""
        return expectation.measure_release(self.label, self.model, self.reference, self.day, self.slices)

    def days(self, model: Floats | None = None) -> Days:
        """As the monitor has them.

        Args:
            model: scores in the place of the model's.
        """
        own = self.model if model is None else model
        names, place = np.unique(self.day, return_inverse=True)
        parts = [np.ones(len(own), bool), *self.slices.values()]
        size = len(names)
        counts = np.stack([self._counts(own, place, size, part) for part in parts])
        others = np.stack([self._counts(self.reference, place, size, part) for part in parts])
        losses, ones = _loss(self.label, own), np.ones(len(own))
        scored = ~np.isnan(self.challenger)
        ahead = np.where(scored, losses - _loss(self.label, self.challenger), 0.0)

        def sums(*values: Floats) -> Floats:
            """Daily sums [slices, days, values]."""
            return np.stack(
                [np.stack([np.bincount(place[part], one[part], size) for one in values], -1) for part in parts]
            ).astype(np.float64)

        return Days(
            (ALL, *self.slices),
            names.astype("datetime64[D]").astype(np.int64) + date(1970, 1, 1).toordinal(),
            counts,
            sums(own)[:, :, 0],
            sums(losses, ones),
            sums(ahead, scored.astype(np.float64)),
            expectation.paired_loss(counts, others),
            expectation.paired_score(counts, others),
        )

    def _counts(self, score: Floats, place: NDArray[np.intp], days: int, part: NDArray[np.bool_]) -> NDArray[np.int64]:
        counts = np.zeros((days, 3, histograms.BINS), np.int64)
        np.add.at(counts, (place[part], 1 + self.label[part], histograms.bin_of(score[part])), 1)
        return counts


def _loss(label: NDArray[np.bool_], score: Floats) -> Floats:
    value = np.clip(score, 1e-9, 1 - 1e-9)
    return -np.log(np.where(label, value, 1 - value))


def read_scores(workspace: Workspace, task: str, as_of: date) -> tuple[Scored, Scored]:
    """The month before `as_of`, by models of earlier rows; and all labelled rows after it, by the released ones."""
    schema = load_schema(task)
    dataset = read_dataset(workspace, schema)
    parts = split(dataset, as_of, schema)
    later = parts.later.where(parts.later.labelled)
    network, vocabulary = checkpoint.load(workspace.trained, "selection")
    chosen = score(to_onnx(network, vocabulary), parts.validation.numeric, parts.validation.category)
    released = score(_released(workspace.store), later.numeric, later.category)
    none = np.full(len(parts.validation), np.nan)

    def scored(rows: Dataset, model: NDArray[np.float32], reference: Floats, challenger: Floats) -> Scored:
        slices = schema.slice_masks(rows.numeric, rows.category)
        return Scored(rows.label == 1, rows.day, model.astype(np.float64), reference, challenger, slices)

    return (
        scored(parts.validation, chosen, _trees(parts.fit, parts.validation), none),
        scored(later, released, _trees(parts.refit, later), _challenger(dataset.where(dataset.labelled), later)),
    )


def _released(store: Path) -> bytes:
    return (store / (store / "champion").read_text(encoding="utf-8").strip() / "model.onnx").read_bytes()


def _trees(known: Dataset, rows: Dataset) -> Floats:
    vocabulary = fit_vocabulary(known.category)
    trees = grow(Rows(known.numeric, known.codes(vocabulary), known.label), ROUNDS)
    return probabilities(trees, rows.numeric, rows.codes(vocabulary)).astype(np.float64)


def _challenger(labelled: Dataset, later: Dataset) -> Floats:
    """Grown anew each week on labels that are a day old, and scored on the week that follows."""
    found = np.full(len(later), np.nan)
    for start in np.arange(later.day.min(), later.day.max() + 1, _WEEK):
        rows = (later.day >= start) & (later.day < start + _WEEK)
        until = start.astype("datetime64[us]") - np.timedelta64(24, "h")
        if rows.any():
            found[rows] = _trees(labelled.where(labelled.outcome_at < until), later.where(rows))
    return found
