"""The house style of the dashboards: each kind of panel built once, so that all of them look and behave alike."""

from dataclasses import dataclass
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED, BLUE, PURPLE = "#73BF69", "#F2CC0C", "#F2495C", "#5794F2", "#B877D9"  # Grafana's own palette
# The same thing has the same colour on every panel.
COLORS: Final = {
    "rest": BLUE,
    "grpc": PURPLE,
    "rest p50": "#8AB8FF",
    "rest p99": BLUE,
    "grpc p50": "#DEB6F2",
    "grpc p99": PURPLE,
    "measured": BLUE,
    "at release": GREEN,
    "alarm": RED,
}
FILTER: Final = 'job=~"$job", instance=~"$instance"'
Step = tuple[float | None, str]  # from this value on, this colour; None is the lowest step
Panel = timeseries.Panel | stat.Panel | bargauge.Panel | heatmap.Panel
_Panel = TypeVar("_Panel", timeseries.Panel, stat.Panel, bargauge.Panel, heatmap.Panel)


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL with `FILTER` in every selector, and the legend of its series ({{label}} is filled in)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What every panel has. `unit` is an id of Grafana's; `width` is of 24 columns, `height` in rows of 30 pixels."""

    title: str
    description: str
    unit: str
    width: int = 8
    height: int = 8
    decimals: int | None = None
    low: float | None = None
    high: float | None = None
    steps: tuple[Step, ...] = ((None, GREEN),)


def _framed(panel: _Panel, frame: Frame, queries: tuple[Query, ...], *, instant: bool) -> _Panel:
    panel.title(frame.title).description(frame.description).datasource(SOURCE)
    panel.span(frame.width).height(frame.height).unit(frame.unit).thresholds(_thresholds(frame.steps))
    if frame.decimals is not None:
        panel.decimals(frame.decimals)
    if frame.low is not None:
        panel.min(frame.low)
    if frame.high is not None:
        panel.max(frame.high)
    for letter, query in zip("ABCDEF", queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(SOURCE)
        target.legend_format(query.legend or "__auto")
        panel.with_target(target.instant() if instant else target.range())
    return panel


def _thresholds(steps: tuple[Step, ...]) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=_plain(value), color=color) for value, color in steps])
    )


def _plain(value: float | None) -> float | None:
    """Whole numbers without a decimal point, as Grafana writes them."""
    return int(value) if value is not None and value == int(value) else value


def number(frame: Frame, query: Query, *, text: looks.BigValueTextMode = looks.BigValueTextMode.AUTO) -> stat.Panel:
    """One number, coloured by its thresholds, over its course."""
    panel = _framed(stat.Panel(), frame, (query,), instant=False)
    return (
        panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_mode(looks.BigValueColorMode.VALUE)
        .graph_mode(
            looks.BigValueGraphMode.AREA if text is looks.BigValueTextMode.AUTO else looks.BigValueGraphMode.NONE
        )
        .text_mode(text)
    )


def course(
    frame: Frame, *queries: Query, stacked: bool = False, line: bool = False, zero: bool = True
) -> timeseries.Panel:
    """Lines over time.

    Args:
        stacked: series are parts of a whole.
        line: draw the thresholds as dashed lines.
        zero: the axis begins at 0, unless values are below.
    """
    panel = _framed(timeseries.Panel(), frame, queries, instant=False)
    panel.line_width(1.5).fill_opacity(35 if stacked else 8).show_points(looks.VisibilityMode.NEVER)
    if stacked:
        panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    if line:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED))
    if zero and frame.low is None:
        panel.axis_soft_min(0)
    legends = {query.legend.replace("{{protocol}}", protocol) for query in queries for protocol in ("rest", "grpc")}
    for name in sorted(legends & COLORS.keys()):
        fixed = model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": COLORS[name]})
        panel.override_by_name(name, [fixed])
    legend = common.VizLegendOptions().show_legend(True).placement(looks.LegendPlacement.BOTTOM)
    panel.legend(legend.display_mode(looks.LegendDisplayMode.LIST).calcs(["lastNotNull"]))
    return panel.tooltip(
        common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING)
    )


def bars(frame: Frame, query: Query) -> bargauge.Panel:
    """One bar a series, now; the query sorts."""
    panel = _framed(bargauge.Panel(), frame, (query,), instant=True)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    return (
        panel.orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .show_unfilled(True)
    )


def distribution(frame: Frame, query: Query) -> heatmap.Panel:
    """A histogram over time: the query gives `le` buckets."""
    panel = _framed(heatmap.Panel(), frame, (), instant=False)
    target = prometheus.Dataquery().expr(query.expr).ref_id("A").datasource(SOURCE).range()
    panel.with_target(target.legend_format("{{le}}").format(PromQueryFormat.HEATMAP))
    colors = heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Blues").steps(64).exponent(0.5)
    return panel.color(colors).calculate(False)
