"""The yardsticks: LightGBM and logistic regression, trained on the same rows as the network."""

from collections.abc import Callable
from typing import Any, Final

import lightgbm
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from contracts.schema import Numeric
from models.preprocess import Codes
from models.train import Probability, TrainingRows

Scorer = Callable[[Numeric, Codes], Probability]
_MOST_ROUNDS: Final = 1500
_PATIENCE: Final = 60  # rounds without a better validation AUC
# Chosen on June, of ten tries. One thread: two that must share a core with somebody else take ten times as long.
_LIGHTGBM: Final[dict[str, Any]] = {
    "objective": "binary",
    "metric": "auc",
    "learning_rate": 0.03,
    "num_leaves": 19,
    "feature_fraction": 0.26,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "min_data_in_leaf": 400,
    "lambda_l2": 20.0,
    "cat_smooth": 200.0,
    "cat_l2": 50.0,
    "min_data_per_group": 500,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


def fit_lightgbm(
    selection: TrainingRows, validation: TrainingRows, final: TrainingRows, seed: int
) -> tuple[Scorer, int]:
    """Rounds are chosen on `validation`, then the trees are grown anew on `final`.

    Returns:
        The scorer, and how many rounds were chosen.
    """
    parameters = _LIGHTGBM | {"seed": seed}
    train = _dataset(selection)
    chosen = lightgbm.train(
        parameters,
        train,
        num_boost_round=_MOST_ROUNDS,
        valid_sets=[_dataset(validation, train)],
        callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
    ).best_iteration
    booster = lightgbm.train(parameters, _dataset(final), num_boost_round=chosen)

    def score(numeric: Numeric, code: Codes) -> Probability:
        return np.asarray(booster.predict(_columns(numeric, code)), np.float32)

    return score, int(chosen)


def fit_logistic_regression(final: TrainingRows) -> Scorer:
    """Median-imputed and standardised numbers with missing flags, one-hot categories, L2 of strength 1."""
    features = final.numeric.shape[1]
    columns = list(range(features + final.code.shape[1]))
    model = make_pipeline(
        make_column_transformer(
            (
                make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()),
                columns[:features],
            ),
            (OneHotEncoder(handle_unknown="ignore"), columns[features:]),
        ),
        LogisticRegression(max_iter=1000),
    ).fit(_columns(final.numeric, final.code), final.target)

    def score(numeric: Numeric, code: Codes) -> Probability:
        return np.asarray(model.predict_proba(_columns(numeric, code))[:, 1], np.float32)

    return score


def _columns(numeric: Numeric, code: Codes) -> np.ndarray:
    """Numbers, then codes, in one float32 array: every code is exact there."""
    return np.hstack([numeric, code.astype(np.float32)])


def _dataset(rows: TrainingRows, reference: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
    features, categories = rows.numeric.shape[1], rows.code.shape[1]
    return lightgbm.Dataset(
        _columns(rows.numeric, rows.code),
        rows.target,
        reference=reference,
        categorical_feature=list(range(features, features + categories)),
    )
