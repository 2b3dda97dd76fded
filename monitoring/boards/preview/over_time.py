"""Panels with an axis of time: lines, and a distribution."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.ticker import FixedLocator, FuncFormatter

from monitoring.boards.preview.canvas import DIM, GRID, PANEL, TEXT, Box, Canvas
from monitoring.boards.preview.line import Line, Mark, unit_of
from monitoring.boards.preview.units import clock, formatted, ticks

NAMED: Final = 4  # marks with their names on a panel
PALETTE: Final = (
    *("#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#3D9E8F", "#37872D", "#E0B400"),
    *("#447EBC", "#C15C17", "#E02F44", "#1F60C4", "#8F3BB8", "#96D98D", "#FFEE52", "#C0D8FF", "#FFB357", "#FF9DA7"),
)


def course(
    canvas: Canvas, box: Box, spec: dict[str, Any], lines: list[Line], span: tuple[float, float], marks: Sequence[Mark]
) -> None:
    """Lines, stacked or not, dashed thresholds, marks, and a legend below."""
    unit, decimals = unit_of(spec)
    lines = sorted(lines, key=lambda line: line.name) if len(lines) <= 5 else sorted(lines, key=lambda line: -line.last)
    colors = _colors(spec, lines)
    used = _legend(canvas, box, lines, colors, (unit, decimals))
    axes = canvas.axes(box.inner(62, 4, 4, used + 24))
    custom = spec["fieldConfig"]["defaults"]["custom"]
    if custom.get("stacking", {}).get("mode") == "normal":
        _stack(axes, lines, colors)
    else:
        for line, color in zip(lines, colors, strict=True):
            axes.plot(line.series.time, line.series.value, color=color, linewidth=1.4, solid_joinstyle="round")
            if len(lines) <= 2 and "axisSoftMin" in custom:
                axes.fill_between(line.series.time, line.series.value, 0, color=color, alpha=0.07, linewidth=0)
    _limits(axes, spec, lines)
    if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        for step in spec["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]:
            axes.axhline(step["value"], color=_alarm(spec, step), linewidth=1.2, linestyle=(0, (6, 4)))
    axes.set_xlim(*span)
    _decorate(axes, unit, decimals)
    _mark(axes, marks)


def distribution(
    canvas: Canvas, box: Box, spec: dict[str, Any], lines: list[Line], span: tuple[float, float], marks: Sequence[Mark]
) -> None:
    """Cumulative `le` buckets to cells: probability upwards, time to the right, rate as brightness."""
    lines = sorted(lines, key=lambda line: float(line.series.labels["le"]))
    time = np.unique(np.concatenate([line.series.time for line in lines]))
    total = np.array([np.interp(time, line.series.time, np.nan_to_num(line.series.value)) for line in lines])
    cells = np.diff(total, axis=0, prepend=0.0).clip(min=0)
    edges = np.array([0.0, *(min(float(line.series.labels["le"]), 1.0) for line in lines)])
    axes = canvas.axes(box.inner(62, 4, 4, 24 + 19))
    half = (time[1] - time[0]) / 2 if len(time) > 1 else 1.0
    colors = LinearSegmentedColormap.from_list("blues", [PANEL, "#14304f", "#1f60c4", "#5794f2", "#c0d8ff"])
    peak = float(cells.max()) or 1.0
    sides = np.append(time - half, time[-1] + half)
    axes.pcolormesh(sides, edges, cells, cmap=colors, norm=PowerNorm(0.5, 0, peak), shading="flat", rasterized=True)
    axes.set_xlim(*span)
    axes.set_ylim(0, 1)
    _decorate(axes, "short", None)
    _mark(axes, marks)
    strip = canvas.axes(Box(box.left + 60, box.top + box.height - 13, 120, 8))
    strip.imshow(np.sqrt(np.linspace(0, 1, 64))[None, :], cmap=colors, aspect="auto")
    strip.axis("off")
    canvas.text(box.left + 50, box.top + box.height - 9, "0", 12, DIM, ha="right")
    canvas.text(box.left + 190, box.top + box.height - 9, formatted(peak, *unit_of(spec)), 12, DIM)


def _mark(axes: Axes, marks: Sequence[Mark]) -> None:
    """A dashed line at each begin, a faint span to the end; names one below the other, as many as there is room for."""
    top = axes.get_xaxis_transform()
    for place, mark in enumerate(marks):
        axes.axvline(mark.begin, color=mark.color, linewidth=1, linestyle=(0, (3, 3)))
        axes.axvspan(mark.begin, mark.end, color=mark.color, alpha=0.08, linewidth=0)
        if place < NAMED:
            y = 0.97 - 0.09 * place
            axes.text(
                mark.begin, y, f" {mark.title}", fontsize=8, color=mark.color, va="top", transform=top, clip_on=True
            )


def _colors(spec: dict[str, Any], lines: list[Line]) -> list[str]:
    """The panel's own by name, and the palette's in turn for the others."""
    fixed = {
        override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
        for override in spec["fieldConfig"].get("overrides", [])
    }
    return [fixed.get(line.name, PALETTE[i % len(PALETTE)]) for i, line in enumerate(lines)]


def _alarm(spec: dict[str, Any], step: dict[str, Any]) -> str:
    """Colour of a dashed threshold: that of the alarm, which lies above an upper limit and below a lower one."""
    lowest = spec["fieldConfig"]["defaults"]["thresholds"]["steps"][0]
    return str(lowest["color"] if lowest["color"] == "#F2495C" else step["color"])


def _stack(axes: Axes, lines: list[Line], colors: list[str]) -> None:
    time = np.unique(np.concatenate([line.series.time for line in lines]))
    floor = np.zeros(len(time))
    for line, color in zip(lines, colors, strict=True):
        value = np.interp(time, line.series.time, np.nan_to_num(line.series.value), left=0, right=0)
        axes.fill_between(time, floor, floor + value, color=color, alpha=0.35, linewidth=0)
        floor = floor + value
        axes.plot(time, floor, color=color, linewidth=1.4)


def _limits(axes: Axes, spec: dict[str, Any], lines: list[Line]) -> None:
    """Grafana's: `min` and `max` are hard, a soft minimum gives way, and a dashed threshold near the data is shown."""
    defaults = spec["fieldConfig"]["defaults"]
    values = np.concatenate([line.series.value for line in lines])
    stacked = defaults["custom"].get("stacking", {}).get("mode") == "normal"
    low, high = (0.0, axes.get_ylim()[1]) if stacked else (float(np.nanmin(values)), float(np.nanmax(values)))
    if defaults["custom"].get("thresholdsStyle", {}).get("mode") == "dashed":
        steps = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
        low, high = min([low, *steps]), max([high, *steps])
    if "axisSoftMin" in defaults["custom"]:
        low = min(low, defaults["custom"]["axisSoftMin"])
    room = (high - low) or abs(high) or 1.0
    bottom = low if low == 0 else low - 0.08 * room
    axes.set_ylim(defaults.get("min", bottom), defaults.get("max", high + 0.08 * room))


def _decorate(axes: Axes, unit: str, decimals: int | None) -> None:
    axes.yaxis.set_major_locator(FixedLocator(ticks(*axes.get_ylim(), unit)))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: formatted(value, unit, decimals if decimals else None))
    )
    places = clock(*axes.get_xlim())
    form = "%H:%M:%S" if len(places) > 1 and places[1] - places[0] < 60 else "%H:%M"
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda second, _: datetime.fromtimestamp(second, UTC).strftime(form)))
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=DIM, labelsize=8.5, length=0, pad=5)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _legend(canvas: Canvas, box: Box, lines: list[Line], colors: list[str], unit: tuple[str, int | None]) -> float:
    """Up to two lines of names with their last values at the bottom; returns the height used."""
    rows: list[list[tuple[str, str]]] = [[]]
    x = 0.0
    for line, color in zip(lines, colors, strict=True):
        text = f"{line.name}  {formatted(line.last, *unit)}"
        width = 5.9 * len(text) + 34
        room = box.width - (80 if len(rows) == 2 else 0)  # for "+ 9 more"
        if x + width > room and rows[-1]:
            if len(rows) == 2:
                rows[-1].append((f"+ {len(lines) - sum(map(len, rows))} more", "none"))
                break
            rows.append([])
            x = 0.0
        rows[-1].append((text, color))
        x += width
    height = 19.0 * len(rows)
    for i, row in enumerate(rows):
        y, x = box.top + box.height - height + 19 * i + 10, box.left + 4
        for text, color in row:
            canvas.rectangle(Box(x, y - 2, 14, 4), color, radius=1 if color != "none" else 0)
            x += 20 + canvas.text(x + 20, y, text, 12, TEXT if color != "none" else DIM) + 14
    return height
