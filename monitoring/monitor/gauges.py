"""The newest report as Prometheus' text. Made anew for each scrape, so that no number outlives what it came from."""

import math
from datetime import UTC, datetime

from prometheus_client import generate_latest

from contracts.reports.monitoring import Window
from monitoring.metrics.declared import MonitorMetrics
from monitoring.monitor.results import Newest


def text(seen: Newest, now: datetime, *, unreachable: bool, answers: bool = True) -> bytes:
    """Gauges by feature are those of the report's own schema; before the first run there are none.

    Args:
        now: UTC, with its zone.
        unreachable: the database has not answered for so long that what was seen last is void. Quality and drift are
            then unknown; what was last seen of the monitor's run and of the newest prediction goes on ageing, so that
            MonitorSilent and DataStale fire in their time.
        answers: whether it answered just now. One question that fails takes no number away: an alarm that rests on
            them must not resolve because the database blinked.
    """
    report = seen.report
    metrics = MonitorMetrics([feature.name for feature in report.task.features] if report else [])
    metrics.database_up.set(answers)
    if seen.received_at is not None:
        metrics.data_age.set(max((now - seen.received_at.replace(tzinfo=UTC)).total_seconds(), 0.0))
    if seen.ran_at is not None:
        metrics.last_run.set(seen.ran_at.replace(tzinfo=UTC).timestamp())
    if report is not None and not unreachable:
        for name, gauge in metrics.release.items():
            gauge.set(report.release.metrics.get(name, math.nan))
        _set_window(metrics, report.window)
        metrics.set_watched(report.watched)
    return generate_latest(metrics.registry)


def _set_window(metrics: MonitorMetrics, window: Window) -> None:
    metrics.rows.set(window.labelled)
    if window.last:
        metrics.window_end.set(datetime.fromisoformat(window.last).timestamp())
    if window.rows:
        metrics.labelled_share.set(window.labelled / window.rows)
    if window.quality:
        metrics.known.set(1)
        for name, gauge in metrics.quality.items():
            gauge.set(getattr(window.quality, name))
    for cell in window.drift:
        metrics.drift_threshold[cell.feature].set(cell.threshold)
        metrics.missing_share[cell.feature].set(cell.missing_share)
        if cell.value is not None:
            metrics.drift[cell.feature].set(cell.value)
