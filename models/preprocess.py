"""Fitted preprocessing: quantile bins of the numbers, vocabularies of the categories.

Both go into the network's graph (`models.network`, `models.export`), so serving cannot differ from training.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.schema import Category, Numeric

UNKNOWN: Final = 0  # code of a category that training never saw, and of ""
Codes = NDArray[np.int64]  # [n, categories], 0 is unknown
Vocabulary = tuple[tuple[str, ...], ...]  # a category's names; code i + 1 is name i


@dataclass(frozen=True, slots=True)
class Bins:
    """Quantile bins of k numeric features, for the piecewise-linear encoding.

    A feature with few different values has fewer bins, which are repeated to make b; one without any two different
    values has `scale` 0, so its code is always 0.
    """

    lower: NDArray[np.float32]  # [k, b] lower edge
    scale: NDArray[np.float32]  # [k, b] 1 / width


def fit_bins(numeric: Numeric, bins: int) -> Bins:
    """Cut each column at its quantiles; missing values are left out.

    Args:
        numeric: float32 [n, k], NaN is missing.
        bins: at most this many a feature.
    """
    lower = np.zeros((numeric.shape[1], bins), np.float32)
    scale = np.zeros_like(lower)
    for column in range(numeric.shape[1]):
        values = numeric[:, column][~np.isnan(numeric[:, column])]
        if len(values) == 0:
            continue
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)).astype(np.float32))
        if len(edges) > 1:
            lower[column] = np.resize(edges[:-1], bins)
            scale[column] = np.resize(1 / np.diff(edges), bins)
    return Bins(lower, scale)


def fit_vocabulary(category: Category) -> Vocabulary:
    """The names of each column in order, without ""."""
    return tuple(tuple(sorted(set(column) - {""})) for column in category.T.tolist())


def encode(category: Category, vocabulary: Vocabulary) -> Codes:
    """Codes of the names, as the ONNX graph computes them.

    Args:
        category: str [n, len(vocabulary)].
    """
    codes = np.zeros(category.shape, np.int64)
    for column, names in enumerate(vocabulary):
        code = {name: i + 1 for i, name in enumerate(names)}
        codes[:, column] = [code.get(name, UNKNOWN) for name in category[:, column].tolist()]
    return codes
