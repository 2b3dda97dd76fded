"""Measures of a scorer: parts of the reports on training, compression, evaluation and monitoring."""

from contracts.reports import Part


class Quality(Part, frozen=True):
    """One scorer on one set of labelled rows. `auc` is None when only one class is there."""

    rows: int
    positive_share: float
    auc: float | None
    log_loss: float
    brier: float
    ece: float


class Interval(Part, frozen=True):
    """An estimate between the 2.5th and 97.5th percentile of its bootstrap distribution."""

    low: float
    difference: float
    high: float
