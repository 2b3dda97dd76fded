"""What all kinds of panels are drawn from: lines with their legends, units, and the colours of thresholds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.boards.preview.canvas import DIM
from monitoring.boards.query import Series


@dataclass(frozen=True, slots=True)
class Line:
    """A series with its legend filled in."""

    name: str
    series: Series

    @property
    def last(self) -> float:
        """The last number; NaN: there is none, and no panel draws the line."""
        finite = self.series.value[np.isfinite(self.series.value)]
        return float(finite[-1]) if len(finite) else float("nan")


@dataclass(frozen=True, slots=True)
class Mark:
    """A release or an alert: seconds since 1970, with what is written beside its begin."""

    begin: float
    end: float
    title: str
    color: str


def threshold_color(spec: dict[str, Any], value: float) -> str:
    """Of the highest step that the value reaches; dim where there is no value."""
    color = DIM
    for step in spec["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if np.isfinite(value) and (step["value"] is None or value >= step["value"]):
            color = step["color"]
    return color


def unit_of(spec: dict[str, Any]) -> tuple[str, int | None]:
    """Grafana's id of the panel's unit, and its decimals; None chooses three significant digits."""
    defaults = spec["fieldConfig"]["defaults"]
    decimals = defaults.get("decimals")
    return defaults["unit"], None if decimals is None else int(decimals)
