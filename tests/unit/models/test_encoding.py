"""Preprocessing against a plain implementation of the paper's formula."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from models.network import PiecewiseLinearEncoding
from models.preprocess import Bins, encode, fit_bins, fit_vocabulary


def _plain(value: float, edges: list[float]) -> list[float]:
    """Gorishniy et al. 2022, equation 1, kept within the first and last edge."""
    codes = []
    for low, high in pairwise(edges):
        codes.append(0.0 if value < low else 1.0 if value >= high else (value - low) / (high - low))
    return codes


def _encoded(bins: Bins, numeric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    layer = PiecewiseLinearEncoding(*bins.lower.shape)
    layer.lower.copy_(torch.from_numpy(bins.lower))
    layer.scale.copy_(torch.from_numpy(bins.scale))
    codes, missing = layer(torch.from_numpy(numeric))
    return codes.numpy(), missing.numpy()


def test_codes_equal_the_plain_formula() -> None:
    rng = np.random.default_rng(0)
    numeric = rng.normal(1013, 5, (500, 2)).astype(np.float32)
    bins = fit_bins(numeric, 6)
    outside = np.array([[900, 1100], [-1e6, 1e6]], np.float32)
    codes, missing = _encoded(bins, np.concatenate([numeric, outside]))
    assert not missing.any()
    for column in range(2):
        edges = np.quantile(numeric[:, column].astype(np.float64), np.linspace(0, 1, 7)).tolist()
        expected = [_plain(float(v), edges) for v in [*numeric[:, column], *outside[:, column]]]
        np.testing.assert_allclose(codes[:, column], expected, atol=2e-4)


def test_missing_is_a_zero_code_and_a_flag() -> None:
    numeric = np.array([[1, 5], [2, np.nan], [3, 6], [np.nan, 7]], np.float32)
    codes, missing = _encoded(fit_bins(numeric, 3), numeric)
    assert missing.tolist() == [[0, 0], [0, 1], [0, 0], [1, 0]]
    assert (codes[1, 1] == 0).all()
    assert (codes[3, 0] == 0).all()
    assert np.isfinite(codes).all()


@pytest.mark.parametrize("value", [3.0, np.nan])
def test_a_column_without_two_values_encodes_to_zero(value: float) -> None:
    numeric = np.full((10, 1), value, np.float32)
    codes, _ = _encoded(fit_bins(numeric, 4), np.array([[value], [8.0]], np.float32))
    assert (codes == 0).all()


def test_few_values_repeat_their_bins() -> None:
    numeric = np.array([[0]] * 90 + [[1]] * 10, np.float32)
    codes, _ = _encoded(fit_bins(numeric, 4), np.array([[0], [0.5], [1]], np.float32))
    np.testing.assert_allclose(codes[:, 0, :], np.repeat([[0.0], [0.5], [1.0]], 4, axis=1))


def test_unknown_and_missing_categories_are_code_zero() -> None:
    category = np.array([["AA", "EWR"], ["UA", ""], ["AA", "JFK"]], object)
    vocabulary = fit_vocabulary(category)
    assert vocabulary == (("AA", "UA"), ("EWR", "JFK"))
    seen = np.array([["UA", "EWR"], ["ZZ", ""], ["EWR", "AA"]], object)
    assert encode(seen, vocabulary).tolist() == [[2, 1], [0, 0], [0, 0]]
