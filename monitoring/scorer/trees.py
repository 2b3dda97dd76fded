"""The reference scorer as LightGBM grows it: few and shallow trees, one thread, the same bits anywhere.

It is no rival of the released model: it has the same inputs and the same season, so the difference between the two on
the same rows moves with the model alone. Categories are the codes of the vocabulary, split as numbers: a code is exact
in float32, and ONNX has no other split.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from contracts.schema import Numeric

Codes = NDArray[np.int64]  # [n, categories]; 0 is unknown or missing, i + 1 the vocabulary's name i
LEAST_ROUNDS: Final = 60
MOST_ROUNDS: Final = 120
# One thread: sums in another order are other bits. The minimum of rows is for tasks of some thousand rows, too.
_PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "metric": "binary_logloss",
    "learning_rate": 0.08,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "lambda_l2": 10.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 0,
    "verbosity": -1,
}


class Trees(Protocol):
    """What is used of `lightgbm.Booster`."""

    def predict(self, data: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities [n]."""

    def dump_model(self) -> dict[str, Any]:
        """The trees as nested dictionaries."""

    def model_to_string(self) -> str:
        """As text, from which LightGBM makes the same trees again."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled rows: `numeric` float32 [n, k], NaN is missing; `code` int64 [n, c]; `label` [n] of 0 and 1."""

    numeric: Numeric
    code: Codes
    label: NDArray[Any]


def grow(rows: Rows, rounds: int) -> Trees:
    """The scorer of these rows.

    Args:
        rounds: trees.
    """
    import lightgbm

    return cast(Trees, lightgbm.train(_PARAMETERS, _dataset(rows), num_boost_round=rounds))


def choose_rounds(rows: Rows, validation: Rows) -> int:
    """How many trees, of `LEAST_ROUNDS` to `MOST_ROUNDS`, have the least log-loss on `validation`."""
    import lightgbm

    losses: dict[str, dict[str, list[float]]] = {}
    train = _dataset(rows)
    lightgbm.train(
        _PARAMETERS,
        train,
        num_boost_round=MOST_ROUNDS,
        valid_sets=[_dataset(validation, train)],
        valid_names=["validation"],
        callbacks=[lightgbm.record_evaluation(losses)],
    )
    late = losses["validation"]["binary_logloss"][LEAST_ROUNDS - 1 :]
    return LEAST_ROUNDS + int(np.argmin(late))


def probabilities(trees: Trees, numeric: Numeric, code: Codes) -> NDArray[np.float32]:
    """Scores [n] of the trees themselves."""
    return np.asarray(trees.predict(_columns(numeric, code)), np.float32)


def _columns(numeric: Numeric, code: Codes) -> NDArray[np.float32]:
    """Numbers, then codes: the order of the graph."""
    return np.hstack([numeric, code.astype(np.float32)])


def _dataset(rows: Rows, reference: Any = None) -> Any:
    import lightgbm

    return lightgbm.Dataset(_columns(rows.numeric, rows.code), rows.label, reference=reference)
