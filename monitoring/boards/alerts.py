"""Alerts: what fires, when, and what it says. Thresholds are the objectives'; what ends within `wait` does not fire."""

from contracts.objectives import Objectives
from monitoring.boards.recording import DELAYED, FAILED, LABELS, SLOW
from monitoring.boards.rule_yaml import Alert, Group, RuleFile, percent


def alerts(objectives: Objectives) -> RuleFile:
    """All alerts, in groups by what they are about."""
    about = (
        "Each alert has `for`, a severity, a summary, a description and a runbook: docs/runbooks/<alert>.md. Severity: "
        "critical wakes somebody, warning waits for the morning, info is read by who looks, none is the heartbeat."
    )
    service = (
        _service_down(), _high_error_rate(objectives), _high_latency(objectives), _spool_old(objectives),
        _database_down(),
    )  # fmt: skip
    data = (_labels_late(objectives), _data_stale(objectives), _feature_drift())
    return RuleFile(
        about,
        (
            Group("windsock-service", service),
            Group("windsock-model", (_model_quality_low(objectives), _quality_unknown())),
            Group("windsock-data", data),
            Group("windsock-monitor", (_monitor_silent(objectives), _watchdog())),
        ),
    )


def _service_down() -> Alert:
    return Alert(
        "ServiceDown",
        why="A single instance that dies is replaced by Kubernetes; this is about none being left. A minute is two "
        "missed scrapes of the slowest configuration (30 s).",
        expr='sum by (job) (up{job="windsock-service"}) == 0 or absent(up{job="windsock-service"})',
        wait="1m",
        severity="critical",
        summary="No instance of the service answers its metrics port.",
        description="Prometheus reaches no instance of {{ $labels.job }}, for a minute or longer. Predictions are "
        "probably not answered.",
    )


def _high_error_rate(objectives: Objectives) -> Alert:
    return Alert(
        "HighErrorRate",
        why="A single failed request leaves the 5-minute window before `for` has passed: only failures that go on "
        "can fire, at any rate of traffic.",
        expr=f"{FAILED} > {objectives.failed_share}",
        wait="5m",
        severity="critical",
        summary=f"More than {percent(objectives.failed_share)} of the requests fail by our fault.",
        description="{{ $value | humanizePercentage }} of the requests to {{ $labels.job }} ended as internal, "
        "unavailable or failed_precondition in the last 5 minutes.",
    )


def _high_latency(objectives: Objectives) -> Alert:
    share, limit = percent(objectives.slow_share), objectives.latency_name
    return Alert(
        "HighLatency",
        why=f"The objective: at most {share} of the requests take longer than {limit}. A rollout or a large batch "
        "passes within `for`.",
        expr=f"{SLOW} > {objectives.slow_share}",
        wait="5m",
        severity="warning",
        summary=f"More than {share} of the {{{{ $labels.protocol }}}} requests take longer than {limit}.",
        description="{{ $value | humanizePercentage }} of the {{ $labels.protocol }} requests to {{ $labels.job }} "
        f"took longer than the objective of {limit} in the last 5 minutes.",
    )


def _spool_old(objectives: Objectives) -> Alert:
    return Alert(
        "SpoolOld",
        why="Rows move to the database every second or so. Nothing is lost while the spool's disk lives, but in a "
        "cluster it dies with its pod.",
        expr=f"windsock_spool_oldest_seconds > {objectives.spool_age_seconds:g}",
        wait="5m",
        severity="warning",
        summary="Logged predictions wait in the spool of {{ $labels.instance }}.",
        description="The oldest row that is not yet in the prediction log is {{ $value | humanizeDuration }} old. It "
        "is lost if the disk of {{ $labels.instance }} is.",
    )


def _database_down() -> Alert:
    return Alert(
        "DatabaseDown",
        why="",
        expr="windsock_database_up == 0",
        wait="2m",
        severity="critical",
        summary="{{ $labels.instance }} cannot write the prediction log.",
        description="The last attempts of {{ $labels.instance }} to write to the database failed. Answers go on and "
        "rows gather in the spool; monitoring goes blind.",
    )


def _model_quality_low(objectives: Objectives) -> Alert:
    margin = objectives.quality_margin
    decimal = f"{margin:g}".removeprefix("0")
    return Alert(
        "ModelQualityLow",
        why="auc_low is the lower end of the interval of the release on its own validation month. Healthy months "
        "differ from each other by more than that interval says, hence the margin (`windsock objectives` has its "
        "reason). An unknown quality is NaN and its `known` is 0: it never fires here, QualityUnknown tells of it.",
        expr='windsock_quality{measure="auc"} < ignoring (measure) '
        f'(windsock_release_quality{{measure="auc_low"}} - {margin})\n'
        "  and ignoring (measure) windsock_quality_known == 1",
        wait="10m",
        severity="critical",
        summary="The model orders rows worse than its release promised.",
        description=f'The measured AUC is {{{{ printf "%.3f" $value }}}}, more than {decimal} below the lower '
        "end of the interval that this release had on its validation month.",
    )


def _quality_unknown() -> Alert:
    return Alert(
        "QualityUnknown",
        why="Labels come hours after the predictions, so an hour without a verdict is ordinary; two are worth a look.",
        expr="windsock_quality_known == 0",
        wait="2h",
        severity="info",
        summary="The quality of the model is not known.",
        description="The monitor's newest window has too few labels, or labels of one class only. Unknown is not "
        "good, and not bad either.",
    )


def _labels_late(objectives: Objectives) -> Alert:
    share, hours = objectives.delayed_label_share, f"{objectives.label_delay_hours:g} hours"
    return Alert(
        "LabelsLate",
        why=f"Either {percent(share)} of the labels come more than {hours} after their outcome, or none came for a day "
        "although rows were scored a day ago. The offset keeps a new system quiet.",
        expr=f"{DELAYED} > {share}\n"
        "  or\n"
        "(\n"
        f"  {LABELS} == 0\n"
        "    and on (job) sum by (job) (increase(windsock_rows_total[1h] offset 1d)) > 0\n"
        ")",
        wait="15m",
        severity="warning",
        summary="Labels are delayed, or do not come at all.",
        description=f"More than {percent(share)} of the labels came over {hours} after their outcome in the last "
        "hour, or no label came for a day while predictions were logged. The quality will be unknown, or of old rows.",
    )


def _data_stale(objectives: Objectives) -> Alert:
    hours = f"{objectives.data_age_hours:g}"
    return Alert(
        "DataStale",
        why=f"{hours} hours are longer than any pause of ordinary traffic (`windsock objectives` has the reason).",
        expr=f"windsock_data_age_seconds > {hours} * 3600",
        wait="10m",
        severity="warning",
        summary="No prediction was logged for {{ $value | humanizeDuration }}.",
        description="The newest row of the prediction log is {{ $value | humanizeDuration }} old; ordinary pauses "
        f"are shorter than {hours} hours. Either nobody asks, or rows do not arrive.",
    )


def _feature_drift() -> Alert:
    return Alert(
        "FeatureDrift",
        why="Information: inputs move with the season while the quality holds. Drift alone decides nothing. The "
        "threshold is a metric of its own, since the monitor knows what it compared with.",
        expr="windsock_drift > windsock_drift_threshold",
        wait="10m",
        severity="info",
        summary="{{ $labels.feature }} differs from the training period.",
        description='The drift of {{ $labels.feature }} is {{ printf "%.3f" $value }}, above its threshold. It '
        "explains a fall in quality, if there is one; it is no reason to act without.",
    )


def _monitor_silent(objectives: Objectives) -> Alert:
    hours = f"{objectives.monitor_silent_hours:g}"
    return Alert(
        "MonitorSilent",
        why="The monitor runs hourly. The second half: the gauges of `windsock monitor serve` cannot be reached.",
        expr=f"time() - windsock_monitor_last_run_timestamp_seconds > {hours} * 3600\n"
        "  or\n"
        'absent(windsock_monitor_last_run_timestamp_seconds{job="windsock-monitor"})',
        wait="15m",
        severity="warning",
        summary=f"The monitor has not reported for {hours} hours.",
        description="Quality, drift and freshness on the dashboards are old, and the alerts on them cannot fire.",
    )


def _watchdog() -> Alert:
    return Alert(
        "Watchdog",
        why="Always fires. Whoever receives alerts misses it when Prometheus, Alertmanager or the way between them is "
        "broken.",
        expr="vector(1)",
        wait="0m",
        severity="none",
        summary="Alerting works.",
        description="This alert always fires. Its silence is the alarm.",
    )
