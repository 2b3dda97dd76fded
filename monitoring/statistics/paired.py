"""Two scorers on the same rows: what they share, season and weather, is not in the difference."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def row_losses(label: NDArray[Any], score: NDArray[Any]) -> NDArray[np.float64]:
    """Log-loss of each row [n], in nats; scores are kept a float64 epsilon away from 0 and 1, as in `quality`.

    Args:
        label: [n] of 0 and 1, or bool.
        score: [n] in [0, 1].
    """
    epsilon = np.finfo(np.float64).eps
    value = np.clip(np.asarray(score, np.float64), epsilon, 1 - epsilon)
    return -np.log(np.where(np.asarray(label).astype(bool), value, 1 - value))


def day_losses(label: NDArray[Any], a: NDArray[Any], b: NDArray[Any], day: NDArray[Any]) -> NDArray[np.float64]:
    """Mean over each day's rows of the log-loss of `a` less that of `b` [days], in nats, days in order.

    Rows of one day share what happened on it, so days are the draws of which a mean has a standard error.

    Args:
        day: [n], any sortable dtype.
    """
    _, place = np.unique(day, return_inverse=True)
    difference = row_losses(label, a) - row_losses(label, b)
    return np.bincount(place, difference) / np.bincount(place)
