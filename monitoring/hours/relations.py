"""Features that tell each other: temperature, dew point and humidity; gusts and wind; a delay over one hour and three.

Nobody declares them. A number that others predict well in the model's sample of training rows is a relation, and such
a relation has no season: weather changes with the month, what humidity follows from a temperature and a dew point
does not. So a value that broke on its way shows there at once.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.schema import Numeric

USING: Final = 4  # features that predict one, at most
LEAST_ROWS: Final = 300  # complete ones, half of them to fit on
LEAST_R2: Final = 0.8  # on the other half
RIDGE: Final = 1e-3  # of standardised columns, a row
BEYOND: Final = 0.999  # quantile of |residual| that is the limit of one row


@dataclass(frozen=True, slots=True)
class Relation:
    """`target` follows from `using`, columns of the numbers: weights @ values + intercept, in its own unit.

    Attributes:
        scale: robust standard deviation of its residuals (1.4826 times their median absolute deviation).
        limit: of one row's |residual| / scale.
    """

    target: int
    using: tuple[int, ...]
    weights: NDArray[np.float64]
    intercept: float
    scale: float
    limit: float

    def residual(self, numeric: Numeric) -> NDArray[np.float64]:
        """Standardised residuals [n]; NaN where a value is missing."""
        told = numeric[:, list(self.using)].astype(np.float64) @ self.weights + self.intercept
        return np.asarray((numeric[:, self.target] - told) / self.scale, np.float64)


def find_relations(numeric: Numeric) -> tuple[Relation, ...]:
    """All relations of a sample, by target.

    Args:
        numeric: float32 [n, k], NaN is missing.
    """
    values = numeric.astype(np.float64)
    correlation = _correlations(values)
    found = (_fit(values, target, correlation[target]) for target in range(values.shape[1]))
    return tuple(relation for relation in found if relation is not None)


def _correlations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """|Pearson's r| [k, k] over rows complete in both; 0 on the diagonal and where it is not known."""
    known = ~np.isnan(values)
    mean = np.nanmean(np.where(known.any(axis=0), values, 0.0), axis=0)
    centred = np.where(known, values - mean, 0.0)
    both = known.astype(np.float64)
    rows = both.T @ both
    spread = np.sqrt((centred**2).T @ both * (both.T @ (centred**2)))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.abs(centred.T @ centred) / spread
    found[(rows < LEAST_ROWS) | ~np.isfinite(found)] = 0.0
    np.fill_diagonal(found, 0.0)
    return np.asarray(found)


def _fit(values: NDArray[np.float64], target: int, correlation: NDArray[np.float64]) -> Relation | None:
    using = tuple(int(column) for column in np.argsort(-correlation, kind="stable")[:USING] if correlation[column] > 0)
    if not using:
        return None
    complete = values[~np.isnan(values[:, [target, *using]]).any(axis=1)]
    x, y = complete[:, using], complete[:, target]
    if len(y) < LEAST_ROWS or np.std(y[::2]) == 0 or np.std(y[1::2]) == 0:
        return None
    weights, intercept = _ridge(x[::2], y[::2])
    error = y - (x @ weights + intercept)
    if 1 - np.var(error[1::2]) / np.var(y[1::2]) < LEAST_R2:
        return None
    scale = 1.4826 * float(np.median(np.abs(error - np.median(error))))
    # A relation that holds exactly in the middle, as sums of zeros do, has no scale there: its spread is taken.
    scale = max(scale, 0.1 * float(np.std(error)), 1e-9)
    return Relation(
        target, using, weights, intercept, scale, max(float(np.quantile(np.abs(error), BEYOND)) / scale, 4.0)
    )


def _ridge(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    mean, spread = x.mean(axis=0), np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    z = (x - mean) / spread
    scaled = np.linalg.solve(z.T @ z + RIDGE * len(y) * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    weights = scaled / spread
    return weights, float(y.mean() - mean @ weights)
