"""The benchmark's picture, whose bytes depend on the report alone: reports/benchmarks/serving.svg."""

import io
import re
import statistics
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.results.report import Quantity, ServingReport, Target

_OURS, _PEER, _LIMIT = "#d4480b", "#22708f", "#8d8378"  # as on the pages of web/
_GOOD, _BAD, _INK, _SOFT, _RULE = "#20744a", "#b3261e", "#1d2125", "#5c636b", "#e5e2dc"
_NAMES: Final = {
    "windsock": "Windsock",
    "windsock-v2": "Windsock, v2 JSON",
    "fastapi": "FastAPI, nothing on",
    "mlserver": "MLServer",
    "bare": "bare uvicorn",
    "onnxruntime": "ONNX Runtime alone",
}
_PANELS: Final[tuple[tuple[str, str, Quantity], ...]] = (
    ("rest-16", "REST, one row: requests a second", "requests_per_second"),
    ("rest-16", "REST, one row: p99, ms", "p99_ms"),
    ("grpc-16", "gRPC, one row: requests a second", "requests_per_second"),
    ("bulk", "gRPC, 1,024 rows: requests a second", "requests_per_second"),
)
_WORDS: Final = {
    "rest": "REST",
    "grpc": "gRPC",
    "bulk": "1,024 rows",
    "fastapi": "FastAPI",
    "mlserver": "MLServer",
    "onnxruntime": "ONNX Runtime",
}
_SETTINGS: Final[dict[Any, Any]] = {
    "svg.hashsalt": "windsock",  # else ids are random
    "svg.fonttype": "none",  # text stays text
    "font.size": 9,
    "text.color": _INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
}

_ID: Final = re.compile(rb"\b([mp])[0-9a-f]{10}\b")


def draw(report: ServingReport) -> bytes:
    """SVG."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(10, 9.6), layout="constrained", facecolor="white")
        halves: Any = figure.subfigures(2, 1, height_ratios=(1, 1.15), hspace=0.04)
        top, bottom = halves
        top.suptitle("One core for the server, one for the client, 16 connections (4 for 1,024 rows)", color=_SOFT)
        grid = top.add_gridspec(2, 2, height_ratios=(1.5, 1))
        for place, (case, title, of) in enumerate(_PANELS):
            _bars(top.add_subplot(grid[place // 2, place % 2]), report, case, title, of)
        _targets(bottom.subplots(), report.targets)
        buffer = io.BytesIO()
        FigureCanvasSVG(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    lines = b"\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + b"\n"
    # Ids are hashes of places as floats, and the layout's solver gives another last digit once in a while: they are
    # numbered in the order in which they occur.
    ids: dict[bytes, bytes] = {}
    return _ID.sub(lambda found: ids.setdefault(found[0], b"%b%d" % (found[1], len(ids))), lines)


def _bars(axes: Axes, report: ServingReport, case: str, title: str, of: Quantity) -> None:
    """A bar a subject: its median turn."""
    values: dict[str, float] = {}
    for label, turns in report.turns.items():
        numbers = [number for turn in turns if (number := getattr(turn, of)) is not None]
        if label.startswith(f"{case}/") and numbers:
            values[label.removeprefix(f"{case}/")] = statistics.median(numbers)
    names = list(values)[::-1]
    colours = [_colour(name) for name in names]
    bars = axes.barh([_NAMES[name] for name in names], [values[name] for name in names], color=colours)
    axes.bar_label(bars, fmt=_short, padding=3, color=_SOFT)
    axes.set_title(title)
    axes.margins(x=0.14)
    axes.xaxis.set_visible(False)
    _plain(axes)


def _colour(name: str) -> str:
    if name.startswith("windsock"):
        return _OURS
    return _LIMIT if name in ("bare", "onnxruntime") else _PEER


def _targets(axes: Axes, targets: tuple[Target, ...]) -> None:
    """A dot a target, by how often it is reached: right of the line is reached, a grey one is not known."""
    told = list(targets)[::-1]
    places = [_times(target) for target in told]
    colours = [_SOFT if one.reached is None else _GOOD if one.reached else _BAD for one in told]
    axes.set_xscale("log")
    axes.axvline(1, color=_INK, linewidth=1)
    axes.hlines(range(len(told)), 1, places, color=colours, linewidth=2)
    axes.scatter(places, range(len(told)), color=colours, s=36, zorder=3)
    axes.set_yticks(range(len(told)), [_named(target) for target in told])
    axes.set_xlim(min(0.3, *places) * 0.8, max(3.0, *places) * 1.25)
    axes.set_title("Targets, as times the goal: left of the line missed, right of it reached")
    axes.grid(axis="x", color=_RULE)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.xaxis.set_minor_locator(NullLocator())
    _plain(axes)


def _times(target: Target) -> float:
    """Measured over goal, or the other way round where less is better; within what can be drawn."""
    if target.measured is None:
        return 1.0
    measured = max(target.measured, 1e-3)
    return min(10.0, max(0.01, measured / target.goal if target.rule == "at least" else target.goal / measured))


def _named(target: Target) -> str:
    words = " ".join(_WORDS.get(word, word) for word in target.name.split("_"))
    unit = {"": "", "x": "x"}.get(target.unit, f" {target.unit}")
    found = "not known" if target.measured is None else f"{_short(target.measured)}{unit}"
    return f"{words}: {found} ({target.rule} {target.goal:,g})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"


def _plain(axes: Any) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=_INK)
    axes.set_axisbelow(True)
