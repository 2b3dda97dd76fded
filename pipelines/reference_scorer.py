"""The reference scorer of a release: chosen on the month that chooses, grown anew on all that was known."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.reports.compression import ScorerReport
from contracts.schema import Schema
from models.preprocess import Vocabulary, fit_vocabulary
from models.tree_graph import trees_to_onnx
from monitoring.scorer.trees import Rows, choose_rounds, grow, probabilities
from monitoring.statistics import quality
from monitoring.statistics.expectation import measure_release, to_metrics
from monitoring.statistics.paired import day_losses
from pipelines.dataset import Dataset, Split

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReferenceScorer:
    """`model` is the final graph; `validation` its like's scores [n] of the month that chose.

    Attributes:
        slices: masks [n] of that month's rows by "origin=JFK".
    """

    model: bytes
    rounds: int
    validation: NDArray[np.float32]
    slices: Mapping[str, NDArray[np.bool_]]

    def report(self, rows: Dataset, released: NDArray[Any]) -> ScorerReport:
        """Its size and quality, and what the released model is to it.

        Args:
            rows: the month that chose.
            released: scores [n] of the model that is released, made without that month, too.
        """
        paired = day_losses(rows.label, released, self.validation, rows.day)
        found = quality.measure(rows.label, self.validation)
        release = measure_release(rows.label, released, self.validation, rows.day, self.slices)
        return ScorerReport(
            bytes=len(self.model),
            trees=self.rounds,
            auc=found.auc,
            log_loss=found.log_loss,
            paired_loss=float(paired.mean()),
            paired_loss_day_sd=float(paired.std(ddof=1)) if len(paired) > 1 else None,
            days=len(paired),
            release=to_metrics(release),
        )


def make_reference_scorer(parts: Split, schema: Schema) -> ReferenceScorer:
    """The number of trees is the best one of the validation month; the trees are grown on all rows before `as_of`."""
    names = fit_vocabulary(parts.fit.category)
    selection = _rows(parts.fit, names)
    rounds = choose_rounds(selection, _rows(parts.validation, names))
    validation = probabilities(grow(selection, rounds), parts.validation.numeric, parts.validation.codes(names))
    names = fit_vocabulary(parts.refit.category)
    final = grow(_rows(parts.refit, names), rounds)
    model = trees_to_onnx(final.dump_model(), parts.refit.numeric.shape[1], names)
    logger.info("reference scorer: %d trees, %d bytes", rounds, len(model))
    return ReferenceScorer(
        model, rounds, validation, schema.slice_masks(parts.validation.numeric, parts.validation.category)
    )


def _rows(rows: Dataset, vocabulary: Vocabulary) -> Rows:
    return Rows(rows.numeric, rows.codes(vocabulary), rows.label)
