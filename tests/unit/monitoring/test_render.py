"""Pictures of dashboards: what a panel shows is in the pixels, and no data is said, never drawn."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread
from numpy.typing import NDArray

from contracts.errors import DataError, Unavailable
from monitoring.boards.preview import render
from monitoring.boards.preview.canvas import Box, Canvas
from monitoring.boards.preview.draw import panel
from monitoring.boards.preview.line import Line, Mark
from monitoring.boards.preview.units import clock, formatted, ticks
from monitoring.boards.query import Prometheus, Series, boards, filled, rule_queries

TIME = np.arange(100.0) * 5 + 1_700_000_000
SPAN = (float(TIME[0]), float(TIME[-1]))
GREEN, RED, BLUE = "#73BF69", "#F2495C", "#5794F2"


def line(values: Any, name: str = "a", **labels: str) -> Line:
    value = np.broadcast_to(np.asarray(values, dtype=np.float64), TIME.shape)
    return Line(name, Series(labels, TIME, value))


def spec(kind: str, **custom: Any) -> dict[str, Any]:
    steps = [{"value": None, "color": GREEN}, {"value": 10.0, "color": RED}]
    defaults = {"unit": "short", "thresholds": {"mode": "absolute", "steps": steps}, "custom": custom}
    options = {"textMode": "auto", "graphMode": "none"}
    return {"type": kind, "title": "Title", "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options}


def drawn(what: dict[str, Any], lines: list[Line], *marks: Mark) -> NDArray[np.float32]:
    canvas = Canvas(400, 240)
    FigureCanvasAgg(canvas.figure)
    panel(canvas, Box(0, 0, 400, 240), what, lines, SPAN, marks)
    file = io.BytesIO()
    canvas.figure.savefig(file, format="png", facecolor=canvas.figure.get_facecolor())
    file.seek(0)
    picture: NDArray[np.float32] = imread(file)
    return picture


def pixels(picture: NDArray[np.float32], color: str, within: float = 0.02) -> int:
    wanted = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return int((np.abs(picture[..., :3] - wanted).max(axis=2) < within).sum())


@pytest.mark.parametrize(("value", "there", "absent"), [(3.0, GREEN, RED), (30.0, RED, GREEN)])
def test_a_number_has_the_colour_of_its_threshold(value: float, there: str, absent: str) -> None:
    picture = drawn(spec("stat"), [line(value)])
    assert pixels(picture, there) > 100
    assert pixels(picture, absent) == 0


def test_a_line_stays_where_its_values_are() -> None:
    low = drawn(spec("timeseries", axisSoftMin=0), [line(np.where(np.arange(100) < 50, 1.0, 9.0))])
    rows, columns = np.nonzero(np.abs(low[..., :3] - np.array([0x73, 0xBF, 0x69]) / 255).max(axis=2) < 0.05)
    inside = columns > 90
    left, right = rows[inside & (columns < 200)].mean(), rows[inside & (columns > 260) & (rows < 190)].mean()
    assert left > right, "smaller values are lower"


def test_a_dashed_threshold_is_shown_even_above_the_data() -> None:
    without = drawn(spec("timeseries"), [line(1.0)])
    dashed = drawn(spec("timeseries", thresholdsStyle={"mode": "dashed"}), [line(1.0)])
    assert pixels(without, RED, 0.25) == 0 < pixels(dashed, RED, 0.25)  # a thin line is blended


def test_a_bar_is_as_long_as_its_value() -> None:
    small, large = (drawn(spec("bargauge"), [line(1.0, "one"), line(v, "two")]) for v in (2.0, 100.0))
    assert pixels(small, GREEN) > 0 == pixels(small, RED)
    assert pixels(large, RED) > 0


def test_a_distribution_brightens_where_the_most_are() -> None:
    heat = spec("heatmap")
    many = [line(total, le, le=le) for le, total in (("0.5", 1.0), ("+Inf", 9.0))]
    assert pixels(drawn(heat, many), "#c0d8ff") > 100


@pytest.mark.parametrize("kind", ["stat", "timeseries", "bargauge", "heatmap"])
@pytest.mark.parametrize("lines", [[], [line(np.nan, le="1")]], ids=["absent", "NaN"])
def test_no_data_is_said_and_not_drawn(kind: str, lines: list[Line]) -> None:
    picture = drawn(spec(kind), lines)
    assert pixels(picture, GREEN) == pixels(picture, RED) == 0


def test_gaps_and_single_points_are_drawn_without_a_word() -> None:
    gap = np.where(np.isin(np.arange(100), range(30, 60)), np.nan, 5.0)
    drawn(spec("timeseries", stacking={"mode": "normal"}), [line(gap), line(2.0, "b")])
    drawn(spec("timeseries"), [Line("a", Series({}, TIME[:1], np.array([0.0])))])


def test_every_committed_dashboard_is_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each panel of each file, with a Prometheus that answers everything alike."""
    asked: list[str] = []

    def answer(self: Prometheus, expr: str, start: float, end: float, step: float) -> list[Series]:
        asked.append(expr)
        time = np.arange(start, end + step, step)
        labels = [{"protocol": "rest", "le": "0.5", "feature": "temp"}, {"protocol": "grpc", "le": "+Inf"}]
        return [Series(label, time, np.linspace(1, 2 + i, len(time))) for i, label in enumerate(labels)]

    monkeypatch.setattr(Prometheus, "range", answer)
    monkeypatch.setattr(Prometheus, "scrape_interval", lambda _: 5.0)
    render.render("http://127.0.0.1:9", tmp_path, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["budgets.png", "data.png", "model.png", "service.png"]
    assert len(asked) > 40
    assert not [expr for expr in asked if "$" in expr]


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.0123, "s", None, "12.3 ms"),
        (0.0, "s", None, "0 s"),
        (60.0, "s", None, "1 min"),
        (7_200.0, "s", None, "2 hours"),
        (0.99664, "percentunit", 2, "99.66%"),
        (12_345.0, "reqps", None, "12.3 K req/s"),
        (127.0, "suffix: rows", None, "127 rows"),
        (0.5, "rowsps", None, "0.5 rows/s"),
        (2.0**29, "bytes", None, "512 MiB"),
        (1_372_636_800_000.0, "dateTimeAsIso", None, "2013-07-01 00:00"),
        (float("nan"), "short", 0, "No data"),
        (2.0, "short", 0, "2"),
    ],
)
def test_units_read_as_in_grafana(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert formatted(value, unit, decimals) == text


def test_axes_have_round_places() -> None:
    assert ticks(0, 7 * 3600, "s") == [0, 2 * 3600, 4 * 3600, 6 * 3600]
    assert ticks(0.7, 0.8, "short") == pytest.approx([0.7, 0.72, 0.74, 0.76, 0.78, 0.8])
    assert ticks(0, 0, "short")
    assert [second % 60 for second in clock(1_700_000_000, 1_700_000_300)] == [0] * 5


def test_variables_are_filled_as_grafana_fills_them() -> None:
    expr = 'rate(a{job=~"$job", instance=~"$instance"}[$__rate_interval])'
    assert filled(expr, step=1, scrape=5) == 'rate(a{job=~".+", instance=~".+"}[20s])', "at least four scrapes"
    assert filled(expr, step=60, scrape=5).endswith("[65s])")


def test_each_rule_has_something_that_must_return_data() -> None:
    found = list(rule_queries())
    assert ("DatabaseDown", "windsock_database_up") in found
    assert ("LabelsLate", "job:windsock_labels:increase1d") in found
    alerts = {name for name, _ in found if ":" not in name}
    assert len(alerts) == 36, "all but the Watchdog, which asks nothing"


@pytest.mark.parametrize(("url", "error"), [("ftp://a", Unavailable), ("http://127.0.0.1:9", Unavailable)])
def test_a_prometheus_that_is_away_is_named(url: str, error: type[DataError]) -> None:
    with pytest.raises(error, match=re.escape(url)):
        Prometheus(url).version()


@pytest.mark.parametrize("kind", ["timeseries", "heatmap"])
def test_a_mark_is_on_every_axis_of_time(kind: str) -> None:
    lines = [line(5.0, le="0.5"), line(9.0, le="1")]
    mark = Mark(SPAN[0] + 100, SPAN[0] + 200, "UnitChanged (warning)", RED)
    assert pixels(drawn(spec(kind), lines), RED) == 0
    assert pixels(drawn(spec(kind), lines, mark), RED) > 50


def test_marks_begin_anew_after_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Prometheus answers: an alert that fired twice is one series with a hole in it."""
    time = np.array([10.0, 20, 30, 100, 110])
    series = [Series({"alertname": "UnitChanged", "severity": "warning"}, time, np.ones(5))]
    monkeypatch.setattr(Prometheus, "scrape_interval", lambda _: 10.0)
    monkeypatch.setattr(Prometheus, "range", lambda _, expr, *__: series if "ALERTS" in expr else [])
    found = render._marks(Prometheus("http://127.0.0.1:9"), boards()["data"], (0.0, 120.0))
    assert [(one.begin, one.end, one.title) for one in found] == [
        (10, 30, "UnitChanged (warning)"),
        (100, 110, "UnitChanged (warning)"),
    ]
