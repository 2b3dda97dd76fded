"""Stage `evaluate`: every model on every month after `as_of`, beside the baselines. It reports and decides nothing.

The exported files are scored, by the runtime that serves them, so these numbers can be found again in production.
"""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DataError, ParameterError
from contracts.files import write_json
from contracts.params import Params
from models.baselines import fit_lightgbm, fit_logistic_regression
from models.preprocess import fit_vocabulary
from models.score import score
from monitoring.statistics import quality
from pipelines import plots
from pipelines.dataset import Flights, Split, read_flights, split

logger = logging.getLogger(__name__)

Scores = dict[str, NDArray[np.float32]]  # model -> [rows of the months after as_of that have a label]
NETWORKS: Final = ("teacher", "student", "twin")
_ROUNDS: Final = 1000  # of the bootstrap
_COMPARED: Final = (
    ("student", "teacher"),
    ("student", "twin"),
    ("student", "lightgbm"),
    ("teacher", "lightgbm"),
    ("teacher", "logistic_regression"),
)


def main(root: Path, params: Params) -> None:
    """
    Raises:
        DataError: an input is missing or damaged.
        ParameterError: `as_of` leaves no labelled flights after it, or nothing to learn from.
    """
    parts = split(read_flights(root), params.as_of)
    flights = parts.later.where(parts.later.labelled)
    if len(flights) == 0:
        raise ParameterError(
            f"`as_of` must leave labelled flights after it, got {params.as_of}; choose an earlier date in params.yaml"
        )
    released = _released(root)
    scores: Scores = {name: _network(root, name, flights) for name in NETWORKS}
    scores |= _baselines(parts, flights, params.train.seed)
    months = {name: by_month(flights, values) for name, values in scores.items()}
    write_json(root / "reports/evaluation.json", _report(params, released, parts, flights, scores, months))
    write_json(
        root / "reports/plots/months.json",
        [{"model": name, **month} for name, table in months.items() for month in table],
    )
    plots.auc_by_month(root / "reports/plots/auc_by_month.png", months, released)
    chosen = {name: scores[name] for name in dict.fromkeys((released, "teacher", "lightgbm"))}
    plots.calibration(root / "reports/plots/calibration.png", flights.late, chosen)


def by_month(flights: Flights, values: NDArray[np.float32]) -> list[dict[str, Any]]:
    """One row a month: month, rows, positive_share, auc (None when only one class), log_loss, brier, ece."""
    table = []
    for month in np.unique(flights.month):
        rows = flights.month == month
        table.append({"month": str(month)} | asdict(quality.measure(flights.late[rows], values[rows])))
    return table


def _report(
    params: Params, released: str, parts: Split, flights: Flights, scores: Scores, months: dict[str, Any]
) -> dict[str, Any]:
    def told(name: str) -> dict[str, Any]:
        return {"months": months[name], "mean_auc": _mean_auc(months[name])}

    for name, table in months.items():
        monthly = " ".join("-" if month["auc"] is None else f"{month['auc']:.4f}" for month in table)
        logger.info("%s: AUC by month %s", name, monthly)
    unlabelled = parts.later.month[~parts.later.labelled]
    return {
        "as_of": params.as_of.isoformat(),
        "released": released,
        "months": months[released],
        "mean_auc": _mean_auc(months[released]),
        "unlabelled": {str(month): int((unlabelled == month).sum()) for month in np.unique(parts.later.month)},
        **{name: told(name) for name in NETWORKS},
        "baselines": {name: told(name) for name in scores if name not in NETWORKS},
        "auc_differences": {f"{a}_less_{b}": _difference(flights, scores[a], scores[b]) for a, b in _COMPARED},
    }


def _difference(flights: Flights, a: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, float] | None:
    """Over all later months at once, with days as blocks; None when only one class or day is there."""
    if len(np.unique(flights.late)) < 2 or len(np.unique(flights.day)) < 2:
        return None
    return asdict(quality.auc_difference_interval(flights.late, a, b, flights.day, _ROUNDS))


def _mean_auc(table: list[dict[str, Any]]) -> float | None:
    known = [month["auc"] for month in table if month["auc"] is not None]
    return float(np.mean(known)) if known else None


def _network(root: Path, name: str, flights: Flights) -> NDArray[np.float32]:
    path = root / f"artifacts/compress/{name}.onnx"
    try:
        model = path.read_bytes()
    except OSError as error:
        raise DataError(f"`{path}` must be a readable file, got: {error}; run `dvc repro`") from error
    logger.info("Scoring %d flights with the %s", len(flights), name)
    return score(model, flights.numeric, flights.category)


def _baselines(parts: Split, flights: Flights, seed: int) -> Scores:
    vocabulary = fit_vocabulary(parts.refit.category)
    refit, codes = parts.refit.rows(vocabulary), flights.codes(vocabulary)
    logger.info("Training LightGBM and logistic regression on the same %d flights", len(parts.refit))
    lightgbm, rounds = fit_lightgbm(parts.fit.rows(vocabulary), parts.validation.rows(vocabulary), refit, seed)
    logger.info("LightGBM: %d trees", rounds)
    logistic = fit_logistic_regression(refit)
    return {
        "lightgbm": lightgbm(flights.numeric, codes),
        "logistic_regression": logistic(flights.numeric, codes),
    }


def _released(root: Path) -> str:
    path = root / "reports/compression.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["released"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"`{path}` must name the released model, got: {error}; run `dvc repro`") from error
