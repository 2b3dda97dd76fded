"""Draws one panel of a Grafana dashboard with matplotlib: a number, lines, bars or a distribution over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from monitoring.boards.preview.canvas import BORDER, DIM, PANEL, TEXT, Box, Canvas
from monitoring.boards.preview.line import Line, Mark, threshold_color, unit_of
from monitoring.boards.preview.over_time import course, distribution
from monitoring.boards.preview.units import formatted


def panel(
    canvas: Canvas,
    box: Box,
    spec: dict[str, Any],
    lines: list[Line],
    span: tuple[float, float],
    marks: Sequence[Mark] = (),
) -> None:
    """Draw one panel.

    Args:
        spec: the panel's JSON.
        span: first and last second of the x axis.
        marks: on every axis of time, by their begin.
    """
    canvas.rectangle(box, PANEL, edge=BORDER, radius=2)
    canvas.text(box.left + 10, box.top + 17, spec["title"], 14, bold=True)
    body = box.inner(10, 32, 12, 8)
    lines = [line for line in lines if np.isfinite(line.last)]
    if not lines:
        canvas.text(box.left + box.width / 2, box.top + box.height / 2, "No data", 16, DIM, ha="center")
        return
    kind = {"stat": _number, "timeseries": course, "bargauge": _bars, "heatmap": distribution}[spec["type"]]
    kind(canvas, body, spec, lines, span, marks)


def _number(
    canvas: Canvas, box: Box, spec: dict[str, Any], lines: list[Line], span: tuple[float, float], marks: Sequence[Mark]
) -> None:
    del marks
    if spec["options"]["textMode"] == "name":
        names = [line.name for line in lines][:3]
        for i, name in enumerate(names):
            y = box.top + box.height * (i + 0.5) / len(names)
            canvas.text(
                box.left + box.width / 2, y, name, 24 if len(names) == 1 else 17, "#73BF69", bold=True, ha="center"
            )
        return
    line = lines[0]
    color = threshold_color(spec, line.last)
    text = formatted(line.last, *unit_of(spec))
    size = min(44.0, box.width / (0.6 * max(len(text), 4)))
    sparkline = spec["options"]["graphMode"] == "area" and unit_of(spec)[0] != "dateTimeAsIso"
    canvas.text(
        box.left + box.width / 2,
        box.top + box.height * (0.36 if sparkline else 0.5),
        text,
        size,
        color,
        bold=True,
        ha="center",
    )
    if sparkline:
        axes = canvas.axes(Box(box.left - 9, box.top + box.height * 0.62, box.width + 20, box.height * 0.38 + 7))
        value = line.series.value
        finite = value[np.isfinite(value)]
        low, high = float(finite.min()), float(finite.max())
        room = (high - low) or abs(high) or 1.0
        axes.set(xlim=span, ylim=(low - 0.15 * room, high + 0.1 * room))
        axes.fill_between(line.series.time, value, low - room, color=color, alpha=0.18, linewidth=0)
        axes.plot(line.series.time, value, color=color, linewidth=1.3)
        axes.axis("off")


def _bars(
    canvas: Canvas, box: Box, spec: dict[str, Any], lines: list[Line], span: tuple[float, float], marks: Sequence[Mark]
) -> None:
    del span, marks
    lines = sorted(lines, key=lambda line: -line.last)
    height = box.height / len(lines)
    names = 190.0
    top = max(1.0, *(line.last for line in lines)) if len(lines) > 1 else max(1.0, lines[0].last)
    room = box.width - names - 64
    for i, line in enumerate(lines):
        y, color = box.top + height * i, threshold_color(spec, line.last)
        canvas.text(box.left + names - 8, y + height / 2, line.name, 12.5, TEXT, ha="right")
        bar = Box(box.left + names, y + 3, room, height - 6)
        canvas.rectangle(bar, "#22252b")
        canvas.rectangle(Box(bar.left, bar.top, max(room * line.last / top, 1), bar.height), color)
        canvas.text(bar.left + room + 10, y + height / 2, formatted(line.last, *unit_of(spec)), 14, color, bold=True)
