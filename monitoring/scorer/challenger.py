"""What a retraining would know by now: trees grown on the log's labels, on top of the reference scorer.

On top of it and not anew: weeks of a log hold less than the months that a release learned from. Grown anew, a
challenger loses to a sound model for want of rows (docs/adr/0033-reference-scorer.md has the measurement), and what it
gains in a changed world is hidden behind that.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.schema import Category, Numeric
from monitoring.scorer.codes import features

ROUNDS: Final = 20  # more of them fit the season of the last months, and lose in the next one
_PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.5,
    "lambda_l2": 10.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 0,
    "verbosity": -1,
}
_EPSILON: Final = 1e-6  # a score's distance from 0 and 1 that its logit keeps


class Scorer(Protocol):
    """The reference scorer."""

    def __call__(self, numeric: Numeric, category: Category) -> NDArray[np.float32]:
        """Probabilities [n]."""


class Challenger:
    """The reference scorer and what was grown on top of it."""

    def __init__(self, trees: str, reference: Scorer, vocabulary: Mapping[str, Sequence[str]]) -> None:
        """Takes LightGBM's text, and the scorer and vocabulary of the artifact that it was grown for."""
        import lightgbm

        self._booster = lightgbm.Booster(model_str=trees)
        self._reference = reference
        self._vocabulary = vocabulary

    def __call__(
        self, numeric: Numeric, category: Category, reference: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Probabilities of the positive outcome [n].

        Args:
            numeric: float32 [n, k], NaN is missing.
            category: str [n, c], "" is missing.
            reference: scores [n] of the reference scorer, where they are there already; None: it is asked.
        """
        if len(numeric) == 0:
            return np.empty(0, np.float32)
        start = self._reference(numeric, category) if reference is None else reference
        rows = features(numeric, category, self._vocabulary)
        raw = _logit(start) + self._booster.predict(rows, raw_score=True, num_threads=1)
        return (1 / (1 + np.exp(-raw))).astype(np.float32)


def grow_challenger(rows: NDArray[np.float32], label: NDArray[Any], reference: NDArray[np.float32]) -> str:
    """Trees on top of the reference scorer, as LightGBM's text.

    Args:
        rows: `features` [n, k + c].
        label: [n] of 0 and 1.
        reference: scores [n] of the reference scorer.
    """
    import lightgbm

    data = lightgbm.Dataset(rows, label, init_score=_logit(reference))
    text: str = lightgbm.train(_PARAMETERS, data, num_boost_round=ROUNDS).model_to_string()
    return text


def _logit(score: NDArray[np.float32]) -> NDArray[np.float64]:
    clipped = np.clip(score.astype(np.float64), _EPSILON, 1 - _EPSILON)
    return np.log(clipped / (1 - clipped))
