"""The monitor's page: what its newest result says, how old that is, and never green where it does not know."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from contracts.features import CATEGORY, NUMERIC
from monitoring.monitor.drift import MIN_ROWS
from monitoring.monitor.results import Newest
from web.charts import Line, line_chart
from web.environment import environment

HEAT_FULL: Final = 0.5  # distance that gets the full colour
NOT_RUN: Final = "the monitor has not run yet; in a cluster it does each hour, elsewhere `windsock monitor` runs it"
SILENT: Final = timedelta(hours=3)  # as the alert MonitorSilent: what is older says nothing about now
MARGIN: Final = 0.06  # as the alert ModelQualityLow: by so much healthy months differ


def render(seen: Newest, trouble: str | None, now: datetime) -> str:
    """HTML that needs no network.

    Args:
        trouble: why the database does not answer now; `seen` is then what it said last.
        now: UTC, with its zone.
    """
    report = seen.report
    context: dict[str, Any] = {"trouble": trouble, "report": report, "received": _received(seen, now)}
    if report is None:
        context |= {"verdict": ("soft", "Unknown.", trouble or NOT_RUN)}
    else:
        age = now - datetime.fromisoformat(report["generated_at"])
        context |= {
            "verdict": verdict(report, trouble, age),
            "age": span_name(age),
            "generated": f"{datetime.fromisoformat(report['generated_at']):%Y-%m-%d %H:%M:%S} UTC",
            "columns": (columns := [*report["months"], {**report["window"], "month": "window"}]),
            "drift": heat(columns),
            "chart": _chart(report),
            "reports_drift": any(column["drift"] for column in columns),
        }
    return environment("monitoring.monitor", "web").get_template("monitor.html.j2").render(context)


def verdict(report: dict[str, Any], trouble: str | None, age: timedelta) -> tuple[str, str, str]:
    """Class of the style sheet, one word, and the reason."""
    window, release = report["window"], report["release"]["metrics"]
    if trouble:
        return "soft", "Unknown.", trouble
    if age > SILENT:
        return "soft", "Unknown.", f"the monitor has been silent for {span_name(age)}"
    if window["quality"] is None:
        return "soft", "Unknown.", window["quality_unknown"]
    auc, limit = window["quality"]["auc"], alarm(release)
    if limit is None:
        return "soft", "Measured.", f"AUC {auc:.3f}; the release's manifest promises none"
    if auc < limit:
        return "bad", "Below its alarm.", f"AUC {auc:.3f}; the alarm is at {limit:.3f}"
    return "good", "Above its alarm.", f"AUC {auc:.3f}; the alarm is at {limit:.3f}"


def alarm(release: dict[str, float]) -> float | None:
    """AUC below which ModelQualityLow fires; None: the release promises none."""
    return release["auc_low"] - MARGIN if "auc_low" in release else None


def heat(columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the heat map: features by their largest drift, a cell a column, each with its share of full colour."""
    about = {feature.name: feature for feature in (*NUMERIC, *CATEGORY)}
    cells: dict[str, list[dict[str, Any]]] = {name: [] for name in about}
    for column in columns:
        found = {cell["feature"]: cell for cell in column["drift"]}
        for name, row in cells.items():
            cell = found.get(name) or {"value": None, "reason": f"fewer than {MIN_ROWS} flights"}
            strength = min((cell["value"] or 0.0) / HEAT_FULL, 1.0)
            row.append({**cell, "month": column["month"], "strength": strength})
    order = sorted(cells, key=lambda name: -max((cell["value"] or 0.0 for cell in cells[name]), default=0.0))
    return [{"feature": name, "description": about[name].description, "cells": cells[name]} for name in order]


def _chart(report: dict[str, Any]) -> Any:
    """AUC by month beside its alarm; None: nothing to draw."""
    names = [month["month"] for month in report["months"]]
    measured = [(month["quality"] or {}).get("auc") for month in report["months"]]
    if len(names) < 2 or measured == [None] * len(names):
        return None
    lines = [Line("measured", "first", measured)]
    if (limit := alarm(report["release"]["metrics"])) is not None:
        lines.insert(0, Line("alarm", "third", [limit] * len(names)))
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
