"""The same question asked of many slices: which of them to name, when chance alone would find some."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.reports.watching import Instrument
from monitoring.expected import limits
from monitoring.statistics import sequential

Floats = NDArray[np.float64]


def log_e_value(standardised: Floats) -> Floats:
    """[s]: e-values of normal deviates, as a bet against their mean being 0 or less; NaN stays unknown."""
    return np.where(np.isnan(standardised), np.nan, sequential.log_single(standardised))


def named(log_evidence: Floats, share: float = limits.SLICE_SHARE) -> NDArray[np.bool_]:
    """Which of the slices [s] to name, by e-BH; unknown ones are no slices that were looked at."""
    return sequential.e_bh(log_evidence, share)


def worst_first(instruments: Sequence[Instrument]) -> list[Instrument]:
    """Slices by their evidence, the unknown ones last."""
    return sorted(instruments, key=lambda one: (one.evidence is None, -(one.evidence or 0.0), one.slice))
