"""The newest result as Prometheus' text. Made anew for each scrape, so that no number outlives what it came from."""

import math
from datetime import UTC, datetime
from typing import Any

from prometheus_client import generate_latest

from contracts.schema import decode_schema
from monitoring.metrics.declared import MonitorMetrics
from monitoring.monitor.results import Newest


def text(seen: Newest, now: datetime, *, away: bool) -> bytes:
    """
    Args:
        now: UTC, with its zone.
        away: the database does not answer. Quality and drift are then unknown; what was last seen of the monitor's run
            and of the newest prediction goes on ageing, so that MonitorSilent and DataStale fire in their time.
    """
    schema = (seen.report or {}).get("schema")
    metrics = MonitorMetrics(None if schema is None else decode_schema(schema))
    if seen.received_at is not None:
        metrics.data_age.set(max((now - seen.received_at.replace(tzinfo=UTC)).total_seconds(), 0.0))
    if seen.report is not None:
        metrics.last_run.set(datetime.fromisoformat(seen.report["generated_at"]).timestamp())
        if not away:
            _set_release(metrics, seen.report["release"]["metrics"])
            _set_window(metrics, seen.report["window"])
    return generate_latest(metrics.registry)


def _set_release(metrics: MonitorMetrics, promised: dict[str, float]) -> None:
    for name, gauge in metrics.release.items():
        gauge.set(promised.get(name, math.nan))


def _set_window(metrics: MonitorMetrics, window: dict[str, Any]) -> None:
    metrics.rows.set(window["labelled"])
    if window["last"]:
        metrics.window_end.set(datetime.fromisoformat(window["last"]).timestamp())
    if window["rows"]:
        metrics.labelled_share.set(window["labelled"] / window["rows"])
    if window["quality"]:
        metrics.known.set(1)
        for name, gauge in metrics.quality.items():
            gauge.set(window["quality"][name])
    for cell in window["drift"]:
        metrics.drift_threshold[cell["feature"]].set(cell["threshold"])
        metrics.missing_share[cell["feature"]].set(cell["missing_share"])
        if cell["value"] is not None:
            metrics.drift[cell["feature"]].set(cell["value"])
