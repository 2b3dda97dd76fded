"""The pictures of `evaluate`, as PNG whose bytes depend on the numbers alone."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from contracts.files import write_atomic
from contracts.reports.evaluation import MonthQuality
from contracts.schema import Schema
from monitoring.statistics import quality

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart with any colour vision.
_COLOURS: Final = {
    "student": "#0072B2",
    "teacher": "#D55E00",
    "control": "#56B4E9",
    "lightgbm": "#009E73",
    "logistic_regression": "#999999",
    "reference_scorer": "#CC79A7",
}
_NAMES: Final = {
    "student": "student (distilled, int8)",
    "teacher": "teacher",
    "control": "control (student net on labels)",
    "lightgbm": "LightGBM",
    "logistic_regression": "logistic regression",
    "reference_scorer": "reference scorer (small LightGBM in the artifact)",
}


def auc_by_month(path: Path, schema: Schema, months: Mapping[str, list[MonthQuality]], released: str) -> None:
    """Draw a line a model.

    Args:
        schema: its words name what is ranked.
        months: model -> its months.
        released: drawn thicker.
    """
    figure, axes = _figure()
    for model, table in months.items():
        axes.plot(
            [month.month for month in table],
            [np.nan if month.auc is None else month.auc for month in table],
            marker="o",
            linewidth=3 if model == released else 1.4,
            color=_COLOURS[model],
            label=_NAMES[model] + (" - released" if model == released else ""),
        )
    axes.set(
        title=f"Ranking {schema.target.positive} {schema.subject.plural}, month by month after training",
        xlabel=f"month, {schema.calendar.time_zone}",
        ylabel="AUC (0.5 = chance, 1 = perfect)",
    )
    _save(path, figure, axes)


def calibration(
    path: Path, schema: Schema, label: NDArray[np.float32], scores: Mapping[str, NDArray[np.float32]]
) -> None:
    """Reliability of each model over all given rows, in bins of equal mass."""
    words, target = schema.subject, schema.target
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", label="perfect")
    highest = 0.0
    for model, values in scores.items():
        share, mean, _rows = quality.calibration_curve(label, values)
        highest = max(highest, float(share.max()), float(mean.max()))
        axes.plot(mean, share, marker="o", color=_COLOURS[model], label=_NAMES[model])
    limit = min(1.0, highest * 1.05)
    axes.set(
        title=f"Are {words.plural} {target.positive} as often as predicted? All months after training",
        xlabel=f"mean predicted probability that a {words.singular} {target.event}",
        ylabel=f"share of {target.positive} {words.plural}",
        xlim=(0, limit),
        ylim=(0, limit),
    )
    _save(path, figure, axes)


def _figure() -> "tuple[Figure, Axes]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(path: Path, figure: "Figure", axes: "Axes") -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomic(path, buffer.getvalue())
