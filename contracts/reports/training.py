"""reports/training.json and reports/plots/training.json: how the teacher learned."""

from typing import Literal

from contracts.reports import Part
from contracts.reports.quality import Quality


class EpochPoint(Part, frozen=True):
    """An epoch on the rows that choose; also a point of the plot. None: there was nothing to measure on."""

    epoch: int
    train_loss: float
    validation_log_loss: float | None
    validation_auc: float | None


class RefitPoint(Part, frozen=True):
    """An epoch on all rows, where nothing is left to measure on."""

    epoch: int
    train_loss: float


class PartSizes(Part, frozen=True):
    """Rows of each part of the data, as `pipelines.dataset.Split` has them."""

    fit: int
    validation: int
    refit: int
    later: int
    later_unlabelled: int


class TrainingReport(Part, frozen=True):
    """How the number of epochs was chosen, and what it gave.

    Attributes:
        as_of: ISO date; nothing from this day or later was used.
        epochs: number that was chosen on the validation month.
        parameters: of the network.
        validation: of the chosen epoch.
    """

    format: Literal[1]
    as_of: str
    epochs: int
    parameters: int
    validation: Quality
    rows: PartSizes
    history: list[EpochPoint]
    refit_history: list[RefitPoint]
