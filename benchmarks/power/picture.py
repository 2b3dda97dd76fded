"""The power curve: share of faults that have paged, by days of mature labels."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray


def draw(path: Path, curves: dict[float, NDArray[np.float64]]) -> None:
    """Write the picture.

    Args:
        curves: by AUC that is lost, the share [days] noticed within 1, 2, ... days.
    """
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=(7.2, 3.9), dpi=110, layout="constrained")
        axes = figure.subplots()
        for loss, share in sorted(curves.items(), reverse=True):
            days = np.arange(1, len(share) + 1)
            (line,) = axes.step(days, share * 100, where="mid", linewidth=2)
            rises = share[-1] > 0
            at = int(np.argmax(share >= share[-1] / 2)) if rises else len(share) - 5  # where the lines are apart
            place, offset, color = (days[at], share[at] * 100), (16, -12) if rises else (0, 4), line.get_color()
            axes.annotate(f"−{loss:g} AUC", place, offset, textcoords="offset points", color=color)
        axes.set(xlabel="days of mature labels since the fault", ylabel="faults that have paged, %", ylim=(-2, 103))
        axes.set_xticks([1, 7, 14, 21, 28])
        axes.set_title("When a worse model pages, at one false page in a hundred years", loc="left", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        figure.savefig(path, metadata={"Software": None})
