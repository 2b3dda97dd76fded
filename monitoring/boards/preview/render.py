"""Draws the committed dashboards from a live Prometheus, one PNG each: for the documents and for who has no Grafana."""

import logging
import re
import time
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from contracts.files import write_atomic
from monitoring.boards.preview.canvas import BORDER, DIM, PANEL, Box, Canvas
from monitoring.boards.preview.draw import panel
from monitoring.boards.preview.line import Line, Mark
from monitoring.boards.query import Prometheus, boards, filled, marks, panels

WIDTH: Final = 1_600  # pixels
HEADER: Final = 92
UNIT, GAP = 30, 8  # of Grafana's grid: a row's height and the space between panels, in pixels
POINTS: Final = 300  # on the x axis
logger = logging.getLogger(__name__)


def render(url: str, folder: Path, minutes: float) -> None:
    """Draw each dashboard over the last `minutes` into `folder`."""
    prometheus = Prometheus(url)
    end = time.time()
    span = (end - minutes * 60, end)
    for name, board in boards().items():
        path = folder / f"{name}.png"
        write_atomic(path, _drawn(prometheus, board, span))
        logger.info("%s", path)


def _drawn(prometheus: Prometheus, board: dict[str, Any], span: tuple[float, float]) -> bytes:
    rows = max(spec["gridPos"]["y"] + spec["gridPos"]["h"] for spec in board["panels"])
    canvas = Canvas(WIDTH, HEADER + rows * (UNIT + GAP) + GAP)
    FigureCanvasAgg(canvas.figure)
    _header(canvas, board, span)
    for spec in board["panels"]:
        box = _box(spec["gridPos"])
        if spec["type"] == "row":
            canvas.text(box.left + 4, box.top + box.height / 2, "▾", 13, DIM, family="DejaVu Sans")
            canvas.text(box.left + 22, box.top + box.height / 2, spec["title"], 15, bold=True)
    found = _marks(prometheus, board, span)
    for spec in panels(board):
        panel(canvas, _box(spec["gridPos"]), spec, _lines(prometheus, spec, span), span, found)
    picture = BytesIO()
    canvas.figure.savefig(picture, format="png", facecolor=canvas.figure.get_facecolor())
    return picture.getvalue()


def _box(grid: dict[str, int]) -> Box:
    column = (WIDTH - 2 * 16 + GAP) / 24
    return Box(
        16 + grid["x"] * column,
        HEADER + grid["y"] * (UNIT + GAP),
        grid["w"] * column - GAP,
        grid["h"] * (UNIT + GAP) - GAP,
    )


def _header(canvas: Canvas, board: dict[str, Any], span: tuple[float, float]) -> None:
    canvas.text(16, 24, board["title"], 20, bold=True)
    canvas.text(WIDTH - 16, 24, _span(span), 13, ha="right")
    x = 16.0
    for variable in board["templating"]["list"]:
        value = "Prometheus" if variable["type"] == "datasource" else "All"
        width = 22 + 7.2 * (len(variable["label"]) + len(value)) + 14
        canvas.rectangle(Box(x, 48, width, 28), PANEL, edge=BORDER, radius=2)
        used = canvas.text(x + 10, 62, variable["label"], 13, "#6e9fff")
        canvas.text(x + 10 + used + 12, 62, value, 13)
        x += width + GAP
    canvas.text(WIDTH - 16, 62, "   ".join(boards_of(board)), 13, DIM, ha="right")


def boards_of(board: dict[str, Any]) -> list[str]:
    """Titles of the dashboards that the link in the header leads to."""
    return [other["title"] for other in boards().values() if other["title"] != board["title"]]


def _span(span: tuple[float, float]) -> str:
    first, last = (datetime.fromtimestamp(second, UTC) for second in span)
    return f"{first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC"


def _lines(prometheus: Prometheus, spec: dict[str, Any], span: tuple[float, float]) -> list[Line]:
    scrape = prometheus.scrape_interval()
    step = max(scrape, (span[1] - span[0]) / POINTS)
    found = []
    for target in spec["targets"]:
        first = span[1] if target.get("instant") else span[0]
        for series in prometheus.range(filled(target["expr"], step, scrape), first, span[1], step):
            legend = target["legendFormat"]
            labels = ", ".join(f"{name}={value}" for name, value in sorted(series.labels.items()))
            name = labels if legend == "__auto" else _legend(legend, series.labels)
            found.append(Line(name, series))
    return found


def _marks(prometheus: Prometheus, board: dict[str, Any], span: tuple[float, float]) -> list[Mark]:
    """By their begin. A gap of more than two steps ends one, as in Grafana."""
    scrape = prometheus.scrape_interval()
    step = max(scrape, (span[1] - span[0]) / POINTS)
    found = []
    for mark in marks(board):
        for series in prometheus.range(filled(mark["expr"], step, scrape), *span, step):
            for moments in np.split(series.time, np.flatnonzero(np.diff(series.time) > 2 * step) + 1):
                title = _legend(mark["titleFormat"], series.labels)
                found.append(Mark(float(moments[0]), float(moments[-1]), title, mark["iconColor"]))
    return sorted(found, key=lambda one: one.begin)


def _legend(template: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda name: labels.get(name[1], ""), template)
