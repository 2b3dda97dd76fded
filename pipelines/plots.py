"""The pictures of `evaluate`, as PNG whose bytes depend on the numbers alone."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.files import write_atomic
from monitoring.statistics import quality

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart with any colour vision.
_COLOURS: Final = {
    "student": "#0072B2",
    "teacher": "#D55E00",
    "twin": "#56B4E9",
    "lightgbm": "#009E73",
    "logistic_regression": "#999999",
}
_NAMES: Final = {
    "student": "student (distilled, int8)",
    "teacher": "teacher",
    "twin": "twin (student net on hard labels)",
    "lightgbm": "LightGBM",
    "logistic_regression": "logistic regression",
}


def auc_by_month(path: Path, months: Mapping[str, list[dict[str, Any]]], released: str) -> None:
    """
    Args:
        months: model -> rows with `month` and `auc`.
        released: drawn thicker.
    """
    figure, axes = _figure()
    for model, table in months.items():
        axes.plot(
            [row["month"] for row in table],
            [np.nan if row["auc"] is None else row["auc"] for row in table],
            marker="o",
            linewidth=3 if model == released else 1.4,
            color=_COLOURS[model],
            label=_NAMES[model] + (" - released" if model == released else ""),
        )
    axes.set(
        title="Ranking late flights, month by month after training",
        xlabel="month of scheduled departure, New York time",
        ylabel="AUC (0.5 = chance, 1 = perfect)",
    )
    _save(path, figure, axes)


def calibration(path: Path, late: NDArray[np.float32], scores: Mapping[str, NDArray[np.float32]]) -> None:
    """Reliability of each model over all given rows, in bins of equal mass."""
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", label="perfect")
    highest = 0.0
    for model, values in scores.items():
        share, mean, _rows = quality.calibration_curve(late, values)
        highest = max(highest, float(share.max()), float(mean.max()))
        axes.plot(mean, share, marker="o", color=_COLOURS[model], label=_NAMES[model])
    limit = min(1.0, highest * 1.05)
    axes.set(
        title="Do flights arrive late as often as predicted? All months after training",
        xlabel="mean predicted probability of arriving late",
        ylabel="share that arrived late",
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
