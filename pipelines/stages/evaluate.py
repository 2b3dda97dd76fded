"""Stage `evaluate`: every model on every month after `as_of`, beside the baselines. It reports and decides nothing.

The exported files are scored, by the runtime that serves them, so these numbers can be found again in production.
"""

import logging
from datetime import date
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.artifact import SCORER
from contracts.errors import DataError, ParameterError
from contracts.reports import read_report, write_report
from contracts.reports.compression import CompressionReport
from contracts.reports.evaluation import EvaluationReport, ModelMonths, MonthPoint, MonthQuality
from contracts.reports.quality import Interval
from contracts.workspace import Workspace
from models.baselines import fit_lightgbm, fit_logistic_regression
from models.preprocess import fit_vocabulary
from models.score import score
from monitoring.statistics import quality
from pipelines import plots
from pipelines.dataset import Dataset, Split, read_dataset, split
from tasks import load_schema

logger = logging.getLogger(__name__)

Scores = dict[str, NDArray[np.float32]]  # model -> [rows of the months after as_of that have a label]
NETWORKS: Final = ("teacher", "student", "control")
REFERENCE_SCORER: Final = "reference_scorer"
_ROUNDS: Final = 1000  # of the bootstrap
_COMPARED: Final = (
    ("student", "teacher"),
    ("student", "control"),
    ("student", "lightgbm"),
    ("teacher", "lightgbm"),
    ("teacher", "logistic_regression"),
    ("student", REFERENCE_SCORER),
)


def main(workspace: Workspace, *, task: str, as_of: date, seed: int) -> None:
    """Write reports/evaluation.json and the pictures.

    Raises:
        DataError: an input is missing or damaged.
        ParameterError: `as_of` leaves no labelled rows after it, or nothing to learn from.
    """
    schema = load_schema(task)
    parts = split(read_dataset(workspace, schema), as_of, schema)
    rows = parts.later.where(parts.later.labelled)
    if len(rows) == 0:
        raise ParameterError(
            f"`as_of` must leave labelled {schema.subject.plural} after it, got {as_of}; "
            "choose an earlier date in params.yaml"
        )
    compression = read_report(workspace.report("compression"), CompressionReport)
    scores: Scores = {name: _graph(workspace, f"{name}.onnx", rows) for name in NETWORKS}
    scores |= _baselines(parts, rows, seed)
    scores[REFERENCE_SCORER] = _graph(workspace, SCORER, rows)
    report = _report(compression, parts, rows, scores)
    write_report(workspace.report("evaluation"), report)
    months = {name: model.months for name, model in _models(report).items()}
    points = [
        MonthPoint(model=name, **msgspec.structs.asdict(month)) for name, table in months.items() for month in table
    ]
    write_report(workspace.plots / "months.json", points)
    plots.auc_by_month(workspace.plots / "auc_by_month.png", schema, months, report.released)
    chosen = {name: scores[name] for name in dict.fromkeys((report.released, "teacher", "lightgbm"))}
    plots.calibration(workspace.plots / "calibration.png", schema, rows.label, chosen)


def by_month(rows: Dataset, values: NDArray[np.float32]) -> ModelMonths:
    """Quality of one model's scores by month."""
    table = []
    for month in np.unique(rows.month):
        chosen = rows.month == month
        found = quality.measure(rows.label[chosen], values[chosen])
        table.append(MonthQuality(month=str(month), **msgspec.structs.asdict(found)))
    known = [month.auc for month in table if month.auc is not None]
    return ModelMonths(table, float(np.mean(known)) if known else None)


def _report(compression: CompressionReport, parts: Split, rows: Dataset, scores: Scores) -> EvaluationReport:
    models = {name: by_month(rows, values) for name, values in scores.items()}
    for name, model in models.items():
        monthly = " ".join("-" if month.auc is None else f"{month.auc:.4f}" for month in model.months)
        logger.info("%s: AUC by month %s", name, monthly)
    unlabelled = parts.later.month[~parts.later.labelled]
    released = models[compression.released]
    return EvaluationReport(
        format=1,
        as_of=compression.as_of,
        released=compression.released,
        months=released.months,
        mean_auc=released.mean_auc,
        unlabelled={str(month): int((unlabelled == month).sum()) for month in np.unique(parts.later.month)},
        **{name: models[name] for name in NETWORKS},
        baselines={name: model for name, model in models.items() if name not in NETWORKS},
        auc_differences={f"{a}_less_{b}": _difference(rows, scores[a], scores[b]) for a, b in _COMPARED},
    )


def _models(report: EvaluationReport) -> dict[str, ModelMonths]:
    networks = {"teacher": report.teacher, "student": report.student, "control": report.control}
    return networks | report.baselines


def _difference(rows: Dataset, a: NDArray[np.float32], b: NDArray[np.float32]) -> Interval | None:
    """Over all later months at once, with days as blocks; None when only one class or day is there."""
    if len(np.unique(rows.label)) < 2 or len(np.unique(rows.day)) < 2:
        return None
    return quality.auc_difference_interval(rows.label, a, b, rows.day, _ROUNDS)


def _graph(workspace: Workspace, name: str, rows: Dataset) -> NDArray[np.float32]:
    path = workspace.compressed / name
    try:
        model = path.read_bytes()
    except OSError as error:
        raise DataError(f"`{path}` must be a readable file, got: {error}; run `dvc repro`") from error
    logger.info("Scoring %d rows with %s", len(rows), name)
    return score(model, rows.numeric, rows.category)


def _baselines(parts: Split, rows: Dataset, seed: int) -> Scores:
    vocabulary = fit_vocabulary(parts.refit.category)
    refit, codes = parts.refit.training_rows(vocabulary), rows.codes(vocabulary)
    logger.info("Training LightGBM and logistic regression on the same %d rows", len(parts.refit))
    selection, validation = parts.fit.training_rows(vocabulary), parts.validation.training_rows(vocabulary)
    lightgbm, rounds = fit_lightgbm(selection, validation, refit, seed)
    logger.info("LightGBM: %d trees", rounds)
    logistic = fit_logistic_regression(refit)
    return {
        "lightgbm": lightgbm(rows.numeric, codes),
        "logistic_regression": logistic(rows.numeric, codes),
    }
