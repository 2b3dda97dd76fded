"""What a student learns from: real rows and perturbed copies of them, all labelled by the teacher.

A student is as good as the amount of rows its teacher labels for it (Fakoor et al. 2020, "Fast, Accurate, and Simple
Models for Tabular Data via Augmented Distillation"); perturbed copies are rows that no one would have to wait for.
"""

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from contracts.features import Numeric
from models.network import Network
from models.preprocess import Codes
from models.train import Rows, predict

_T = TypeVar("_T", np.float32, np.int64)
# Copy 1, 3, ... stays near the data, copy 2, 4, ... goes further: share of cells swapped, noise in standard deviations.
_STRENGTH: Final = ((0.10, 0.1), (0.25, 0.2))


def distillation_rows(teacher: Network, numeric: Numeric, code: Codes, copies: int, seed: int) -> Rows:
    """The rows and `copies` perturbed copies of them, with the teacher's probabilities as targets."""
    rng = np.random.default_rng(seed)
    parts = [(numeric, code), *(perturb(numeric, code, *_STRENGTH[i % 2], rng) for i in range(copies))]
    all_numeric = np.concatenate([part[0] for part in parts])
    all_code = np.concatenate([part[1] for part in parts])
    return Rows(all_numeric, all_code, predict(teacher, all_numeric, all_code))


def perturb(
    numeric: Numeric, code: Codes, swapped: float, noise: float, rng: np.random.Generator
) -> tuple[Numeric, Codes]:
    """Swap a share of the cells with those of other rows, missing ones included, and add noise to the numbers.

    Args:
        swapped: share of the cells.
        noise: standard deviation, in those of the column.
    """
    known = np.where(np.isnan(numeric).all(axis=0), 0, numeric)  # a column without any value has no spread to measure
    spread = np.nanstd(known, axis=0, dtype=np.float64)
    added = rng.standard_normal(numeric.shape, np.float32) * (noise * spread).astype(np.float32)
    return _swap(numeric, swapped, rng) + added, _swap(code, swapped, rng)


def _swap(cells: NDArray[_T], share: float, rng: np.random.Generator) -> NDArray[_T]:
    donor = rng.integers(0, len(cells), cells.shape)
    return np.where(rng.random(cells.shape) < share, np.take_along_axis(cells, donor, axis=0), cells)
