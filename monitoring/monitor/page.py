"""The monitor's page: what its newest result says, how old that is, and never green where it does not know."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from contracts.reports.monitoring import FeatureDrift, Monitoring, Month, Task, Window
from contracts.reports.watching import Question, WatchedModel, WindowQuality
from monitoring.monitor.drift import MIN_ROWS
from monitoring.monitor.results import Newest
from web.charts import Line, line_chart
from web.jinja import environment

RUNBOOKS: Final = Path(__file__).parents[2] / "docs/runbooks"
HEAT_FULL: Final = 0.5  # distance that gets the full colour
NOT_RUN: Final = "the monitor has not run yet; its first run begins some seconds after the start, and takes a minute"
LONGEST: Final = 28  # days of the window that the headline speaks of
QUESTIONS: Final[dict[Question, str]] = {
    "paired": "worse than its reference scorer on the same rows",
    "gap": "not the quality that these rows deserve",
    "calibration": "its probabilities are off",
    "challenger": "a model of today's labels would be better",
}
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


def render(seen: Newest, trouble: str | None, now: datetime, alarm: str | None = None) -> str:
    """HTML that needs no network.

    Args:
        trouble: why the database does not answer now; `seen` is then what it said last.
        now: UTC, with its zone.
        alarm: why no alarm can arrive; None: one can, or nobody knows.
    """
    report = seen.report
    context: dict[str, Any] = {"alarm": alarm, "trouble": trouble, "report": report, "received": _received(seen, now)}
    if report is None:
        context |= {"verdict": ("soft", "Unknown.", trouble or seen.unreadable or NOT_RUN)}
    else:
        made = datetime.fromisoformat(report.generated_at)
        columns: list[Period] = [*report.months, report.window]
        context |= {
            "verdict": verdict(report, trouble, now - made),
            "age": span_name(now - made),
            "generated": f"{made:%Y-%m-%d %H:%M:%S} UTC",
            "columns": columns,
            "drift": heat(report.task, columns),
            "chart": _chart(report),
            "questions": QUESTIONS,
            "reports_drift": any(column.drift for column in columns),
        }
    return environment("monitoring.monitor", "web").get_template("monitor.html.j2").render(context)


def runbook(name: str) -> str | None:
    """What to do about an alert, as Markdown; None: there is no such alert."""
    found = RUNBOOKS / f"{name}.md"
    return found.read_text(encoding="utf-8") if name.isalpha() and found.is_file() else None


def verdict(report: Monitoring, trouble: str | None, age: timedelta) -> tuple[str, str, str]:
    """Class of the style sheet, one word, and the reason."""
    window = report.window
    if trouble:
        return "soft", "Unknown.", trouble
    if age > timedelta(hours=report.limits.monitor_silent_hours):
        return "soft", "Unknown.", f"the monitor has been silent for {span_name(age)}"
    model = next((one for one in report.watched if one.role == "champion"), None)
    if model is None:
        return "soft", "Unknown.", window.quality_unknown or "no model has answered in the newest weeks"
    found = judged(model)
    return ("soft", "Unknown.", window.quality_unknown) if found[0] == "soft" and window.quality_unknown else found


def judged(model: WatchedModel) -> tuple[str, str, str]:
    """What the instruments say of a model, the worst first; never good while the first question is open."""
    for state, word in (("page", "Broken."), ("ticket", "To be looked at.")):
        if (found := _first(model, state)) is not None:
            return "bad", word, found
    whole = next((one for one in model.windows if one.days == LONGEST and not one.slice), None)
    told = "" if whole is None else quality_sentence(whole)
    paired = [one for one in model.instruments if one.question == "paired" and not one.slice]
    if not told or all(one.state == "unknown" for one in paired):
        return "soft", "Unknown.", "; ".join(filter(None, (told, paired[0].why if paired else "")))
    return "good", "As it should be.", told


def _first(model: WatchedModel, state: str) -> str | None:
    """Why a model is in this state: its faults first, as a broken input explains a fall in quality."""
    faults = [fault.cause for fault in model.faults if fault.state == state]
    whys = [f"{QUESTIONS[one.question]}: {one.why}" for one in model.instruments if one.state == state]
    return next(iter([*faults, *whys]), None)


def quality_sentence(window: WindowQuality) -> str:
    """Measured beside expected; "" when nothing was measured."""
    if window.auc is None:
        return ""
    told = f"AUC {window.auc:.3f} in {window.days} days"
    if window.expected_auc is None or window.expected_low is None or window.expected_high is None:
        return told
    expected = f"{window.expected_low:.3f} to {window.expected_high:.3f} was to be expected of these rows"
    return f"{told}; {expected}"


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
