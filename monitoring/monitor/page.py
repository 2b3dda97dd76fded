"""The monitor's page: what its newest result says, how old that is, and never green where it does not know."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from markupsafe import Markup

from contracts.reports.monitoring import FeatureDrift, Monitoring, Month, Task, Window
from contracts.reports.watching import Drift, WatchedModel
from monitoring.monitor.drift import MIN_ROWS
from monitoring.monitor.results import Newest
from monitoring.monitor.shown import remedy
from monitoring.monitor.shown.faults import fault_table
from monitoring.monitor.shown.headline import LONGEST, QUESTIONS, Headline, headline, unknown
from monitoring.monitor.shown.history import Spell
from monitoring.monitor.shown.slices import MOST, slice_rows
from monitoring.monitor.shown.timelines import pictures
from web.charts import Line, line_chart
from web.jinja import environment

HEAT_FULL: Final = 0.5  # distance that gets the full colour
NOT_RUN: Final = "the monitor has not run yet; its first run begins some seconds after the start, and takes a minute"
Period = Month | Window


@dataclass(frozen=True, slots=True)
class Cell:
    """One feature in one column of the heat map.

    Attributes:
        column: "2013-07" or "window".
        drift: None: the column has no rows.
        strength: share of the full colour, 0 to 1.
        reason: why there is no distance; None: there is one.
    """

    column: str
    drift: FeatureDrift | None
    strength: float
    reason: str | None


@dataclass(frozen=True, slots=True)
class HeatRow:
    feature: str
    description: str
    cells: list[Cell]


def render(
    seen: Newest, trouble: str | None, now: datetime, alarm: str | None = None, past: Sequence[Spell] = ()
) -> str:
    """HTML that needs no network.

    Args:
        trouble: why the database does not answer now; `seen` is then what it said last.
        now: UTC, with its zone.
        alarm: why no alarm can arrive; None: one can, or nobody knows.
        past: incidents of the results that are kept, open ones first.
    """
    report = seen.report
    context: dict[str, Any] = {"alarm": alarm, "trouble": trouble, "report": report, "received": _received(seen, now)}
    if report is None:
        context |= {"verdict": unknown(trouble or seen.unreadable or NOT_RUN, remedy.DATABASE if trouble else None)}
    else:
        made = datetime.fromisoformat(report.generated_at)
        columns: list[Period] = [*report.months, report.window]
        context |= {
            "verdict": since(verdict(report, trouble, now - made), past),
            "age": span_name(now - made),
            "generated": f"{made:%Y-%m-%d %H:%M:%S} UTC",
            "columns": columns,
            "drift": heat(report.task, columns),
            "chart": _chart(report),
            "questions": QUESTIONS,
            "models": side_by_side(report.watched),
            "moved": moved(report.watched),
            "past": past,
            "pictures": pictures(report.timeline, report.task.subject.plural),
            "longest": LONGEST,
            "most": MOST,
            "reports_drift": any(column.drift for column in columns),
        }
    return environment("monitoring.monitor", "web").get_template("monitor.html.j2").render(context)


def verdict(report: Monitoring, trouble: str | None, age: timedelta) -> Headline:
    """Unknown when the report is too old, or the database is away; else what the report says of the champion."""
    if trouble:
        return unknown(trouble, remedy.DATABASE)
    if age > timedelta(hours=report.limits.monitor_silent_hours):
        return unknown(f"the monitor has been silent for {span_name(age)}", remedy.SILENT)
    return headline(report)


def since(found: Headline, past: Sequence[Spell]) -> Headline:
    """With the begin that the kept reports tell: of the finding, or of its absence; what is unknown has none."""
    mine = [one for one in past if one.role == "champion"]
    if found.since or found.kind == "unknown":
        return found
    if found.kind == "good":
        moments = [one.ended for one in mine if one.ended is not None]
        return replace(found, since=max(moments).isoformat()) if moments else found
    began = [one.began for one in mine if one.ended is None and found.why.endswith(one.why)]
    return replace(found, since=min(began).isoformat()) if began else found


def side_by_side(watched: Sequence[WatchedModel]) -> list[tuple[WatchedModel, dict[str, Any]]]:
    """The models with the champion first, and what the page shows of each."""
    ordered = sorted(watched, key=lambda one: one.role != "champion")
    return [(one, {"faults": fault_table(one), "slices": slice_rows(one)}) for one in ordered]


def moved(watched: Sequence[WatchedModel]) -> Drift | None:
    """What changed in the champion's inputs; None: it was not described."""
    return next((one.drift for one in watched if one.role == "champion"), None)


def heat(task: Task, columns: Sequence[Period]) -> list[HeatRow]:
    """Rows of the heat map: features by their largest drift, a cell a column."""
    rows = [HeatRow(feature.name, feature.description, []) for feature in task.features]
    for column in columns:
        found = {drift.feature: drift for drift in column.drift}
        for row in rows:
            row.cells.append(_cell(column.name, found.get(row.feature), task))
    return sorted(rows, key=lambda row: -max((_distance(cell.drift) for cell in row.cells), default=0.0))


def _cell(column: str, drift: FeatureDrift | None, task: Task) -> Cell:
    reason = f"fewer than {MIN_ROWS} {task.subject.plural}" if drift is None else drift.reason
    return Cell(column, drift, min(_distance(drift) / HEAT_FULL, 1.0), reason)


def _distance(drift: FeatureDrift | None) -> float:
    return 0.0 if drift is None else drift.value or 0.0


def _chart(report: Monitoring) -> Markup | None:
    """AUC by month beside the release's; None: nothing to draw."""
    names = [month.month for month in report.months]
    measured = [month.quality.auc if month.quality else None for month in report.months]
    if len(names) < 2 or measured == [None] * len(names):
        return None
    lines = [Line("measured", "first", measured)]
    if (promised := report.release.metrics.get("auc")) is not None:
        lines.insert(0, Line("release", "third", [promised] * len(names)))
    return line_chart("AUC by month", names, lines)


def _received(seen: Newest, now: datetime) -> str | None:
    return None if seen.received_at is None else span_name(now - seen.received_at.replace(tzinfo=UTC))


def span_name(span: timedelta) -> str:
    """ "4 min", in the largest unit that is there."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, size in (("days", 2 * 86_400), ("h", 2 * 3_600), ("min", 120)):
        if seconds >= size:
            return f"{seconds // {'days': 86_400, 'h': 3_600, 'min': 60}[unit]} {unit}"
    return f"{seconds} s"
