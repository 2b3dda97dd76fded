"""What a student learns from: real rows and perturbed copies of them, all labelled by the teacher.

A student is as good as the amount of rows its teacher labels for it (Fakoor et al. 2020, "Fast, Accurate, and Simple
Models for Tabular Data via Augmented Distillation"); perturbed copies are rows that no one would have to wait for.
"""

from typing import Final

import numpy as np

from contracts.schema import Numeric
from models.network import Network
from models.preprocess import Codes
from models.train import TrainingRows, predict

# Copy 1, 3, ... stays near the data, copy 2, 4, ... goes further: share of cells swapped, noise in standard deviations.
_STRENGTH: Final = ((0.10, 0.1), (0.25, 0.2))


def distillation_rows(teacher: Network, numeric: Numeric, code: Codes, copies: int, seed: int) -> TrainingRows:
    """The rows and `copies` perturbed copies of them, with the teacher's probabilities as targets."""
    rng = np.random.default_rng(seed)
    parts = [(numeric, code), *(perturb(numeric, code, *_STRENGTH[i % 2], rng) for i in range(copies))]
    all_numeric = np.concatenate([part[0] for part in parts])
    all_code = np.concatenate([part[1] for part in parts])
    return TrainingRows(all_numeric, all_code, predict(teacher, all_numeric, all_code))


def perturb(
    numeric: Numeric, code: Codes, swapped: float, noise: float, rng: np.random.Generator
) -> tuple[Numeric, Codes]:
    """Take a share of the cells from other rows, missing ones included, and add noise to the numbers.

    Column by column: whole tables of random numbers would double the stage's memory.

    Args:
        swapped: share of the cells.
        noise: standard deviation, in those of the column.
    """
    numbers, codes = numeric.copy(), code.copy()
    for old, new in (*zip(numeric.T, numbers.T, strict=True), *zip(code.T, codes.T, strict=True)):
        rows = np.flatnonzero(rng.random(len(new)) < swapped)
        new[rows] = old[rng.integers(0, len(old), len(rows))]
    for old, new in zip(numeric.T, numbers.T, strict=True):
        known = old[~np.isnan(old)]
        if len(known):
            new += rng.standard_normal(len(new), np.float32) * np.float32(noise * known.std(dtype=np.float64))
    return numbers, codes
