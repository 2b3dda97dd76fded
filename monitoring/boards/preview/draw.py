"""Draws one panel of a Grafana dashboard with matplotlib: a number, lines, bars or a distribution over time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.ticker import FixedLocator, FuncFormatter

from monitoring.boards.preview.canvas import BORDER, DIM, GRID, PANEL, TEXT, Box, Canvas
from monitoring.boards.preview.units import clock, formatted, ticks
from monitoring.boards.query import Series

PALETTE: Final = (
    *("#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#3D9E8F", "#37872D", "#E0B400"),
    *("#447EBC", "#C15C17", "#E02F44", "#1F60C4", "#8F3BB8", "#96D98D", "#FFEE52", "#C0D8FF", "#FFB357", "#FF9DA7"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A series with its legend filled in."""

    name: str
    series: Series

    @property
    def last(self) -> float:
        finite = self.series.value[np.isfinite(self.series.value)]
        return float(finite[-1]) if len(finite) else float("nan")


def threshold_color(panel: dict[str, Any], value: float) -> str:
    color = DIM
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if np.isfinite(value) and (step["value"] is None or value >= step["value"]):
            color = step["color"]
    return color


def panel(canvas: Canvas, box: Box, spec: dict[str, Any], lines: list[Line], span: tuple[float, float]) -> None:
    """Draw one panel.

    Args:
        spec: the panel's JSON.
        span: first and last second of the x axis.
    """
    canvas.rectangle(box, PANEL, edge=BORDER, radius=2)
    canvas.text(box.left + 10, box.top + 17, spec["title"], 14, bold=True)
    body = box.inner(10, 32, 12, 8)
    lines = [line for line in lines if np.isfinite(line.last)]
    if not lines:
        canvas.text(box.left + box.width / 2, box.top + box.height / 2, "No data", 16, DIM, ha="center")
        return
    kind = {"stat": _number, "timeseries": _course, "bargauge": _bars, "heatmap": _distribution}[spec["type"]]
    kind(canvas, body, spec, lines, span)


def _unit(spec: dict[str, Any]) -> tuple[str, int | None]:
    defaults = spec["fieldConfig"]["defaults"]
    decimals = defaults.get("decimals")
    return defaults["unit"], None if decimals is None else int(decimals)


def _number(canvas: Canvas, box: Box, spec: dict[str, Any], lines: list[Line], span: tuple[float, float]) -> None:
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
    text = formatted(line.last, *_unit(spec))
    size = min(44.0, box.width / (0.6 * max(len(text), 4)))
    course = spec["options"]["graphMode"] == "area" and _unit(spec)[0] != "dateTimeAsIso"
    canvas.text(
        box.left + box.width / 2,
        box.top + box.height * (0.36 if course else 0.5),
        text,
        size,
        color,
        bold=True,
        ha="center",
    )
    if course:
        axes = canvas.axes(Box(box.left - 9, box.top + box.height * 0.62, box.width + 20, box.height * 0.38 + 7))
        value = line.series.value
        finite = value[np.isfinite(value)]
        low, high = float(finite.min()), float(finite.max())
        room = (high - low) or abs(high) or 1.0
        axes.set(xlim=span, ylim=(low - 0.15 * room, high + 0.1 * room))
        axes.fill_between(line.series.time, value, low - room, color=color, alpha=0.18, linewidth=0)
        axes.plot(line.series.time, value, color=color, linewidth=1.3)
        axes.axis("off")


def _course(canvas: Canvas, box: Box, spec: dict[str, Any], lines: list[Line], span: tuple[float, float]) -> None:
    unit, decimals = _unit(spec)
    lines = (
        sorted(lines, key=lambda line: line.name) if len(lines) <= 5 else sorted(lines, key=lambda line: -_rank(line))
    )
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


def _colors(spec: dict[str, Any], lines: list[Line]) -> list[str]:
    """The panel's own by name, and the palette's in turn for the others."""
    fixed = {
        override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
        for override in spec["fieldConfig"].get("overrides", [])
    }
    return [fixed.get(line.name, PALETTE[i % len(PALETTE)]) for i, line in enumerate(lines)]


def _alarm(spec: dict[str, Any], step: dict[str, Any]) -> str:
    """A limit from below is drawn in the colour of what lies above it, one from above in that of what lies below."""
    lowest = spec["fieldConfig"]["defaults"]["thresholds"]["steps"][0]
    return str(lowest["color"] if lowest["color"] == "#F2495C" else step["color"])


def _rank(line: Line) -> float:
    return line.last if np.isfinite(line.last) else -np.inf


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


def _bars(canvas: Canvas, box: Box, spec: dict[str, Any], lines: list[Line], span: tuple[float, float]) -> None:
    del span
    lines = sorted(lines, key=lambda line: -_rank(line))
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
        canvas.text(bar.left + room + 10, y + height / 2, formatted(line.last, *_unit(spec)), 14, color, bold=True)


def _distribution(canvas: Canvas, box: Box, spec: dict[str, Any], lines: list[Line], span: tuple[float, float]) -> None:
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
    strip = canvas.axes(Box(box.left + 60, box.top + box.height - 13, 120, 8))
    strip.imshow(np.sqrt(np.linspace(0, 1, 64))[None, :], cmap=colors, aspect="auto")
    strip.axis("off")
    canvas.text(box.left + 50, box.top + box.height - 9, "0", 12, DIM, ha="right")
    canvas.text(box.left + 190, box.top + box.height - 9, formatted(peak, *_unit(spec)), 12, DIM)
