"""Alerts: what fires, when, and what it says. Thresholds are the objectives'; what ends within `wait` does not fire."""

from typing import Final

from contracts.objectives import Objectives
from monitoring.boards.data_alerts import data_alerts, fault
from monitoring.boards.quality_alerts import quality_alerts
from monitoring.boards.recording import DELAYED, LABELS
from monitoring.boards.rule_yaml import Alert, Group, RuleFile, percent

USUAL_REQUESTS: Final = 30  # of a quarter of an hour a week ago; fewer are no traffic that could be missed


def alerts(objectives: Objectives) -> RuleFile:
    """All alerts, in groups by what they are about."""
    about = (
        "Each alert has `for`, a severity, a summary, a description and a runbook: docs/runbooks/<alert>.md. Severity: "
        "critical wakes somebody, warning waits for the morning, info is read by who looks, none is the heartbeat."
    )
    service = (
        _service_down(), _probe_fails(), _instance_down(), _nothing_arrives(), _callers_refused(),
        _model_refused(), _companion_down(), _spool_old(objectives), _spool_fills(objectives),
        _database_down(),
    )  # fmt: skip
    data = (*data_alerts(), _labels_late(objectives), _data_stale(objectives))
    return RuleFile(
        about,
        (
            Group("windsock-service", service),
            Group("windsock-model", (*quality_alerts(), _quality_unknown())),
            Group("windsock-data", data),
            Group("windsock-monitor", (_monitor_silent(objectives), _monitor_never_ran(objectives), _watchdog())),
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


def _probe_fails() -> Alert:
    return Alert(
        "ProbeFails",
        why="Whatever lies between callers and an answer: names, policies, gateways, certificates, tokens. The prober "
        "asks each 15 s, so these are four that failed; a rollout fails none. Without a prober there is no series, and "
        "this is silent.",
        expr="windsock_probe_success == 0",
        wait="1m",
        severity="critical",
        summary="A caller gets no answer from the service.",
        description="The prober of {{ $labels.instance }} asks over {{ $labels.protocol }} as a caller does, and gets "
        "no score. Its log says what it got instead.",
        keep="2m",
    )


def _instance_down() -> Alert:
    job = 'job="windsock-service"'
    return Alert(
        "InstanceDown",
        why="One of several that is dead for good. A restart or a rollout takes a minute; when none is left it is "
        "ServiceDown that fires.",
        expr=f"up{{{job}}} == 0 unless on (job) sum by (job) (up{{{job}}}) == 0",
        wait="15m",
        severity="warning",
        summary="{{ $labels.instance }} has not answered for a quarter of an hour.",
        description="Prometheus reaches other instances of {{ $labels.job }}, and not this one. What answers has less "
        "room than it was given.",
    )


def _nothing_arrives() -> Alert:
    requests = "sum by (job) (increase(windsock_requests_total[15m]{}))"
    return Alert(
        "NothingArrives",
        why=f"No request came for a quarter of an hour, where a week ago more than {USUAL_REQUESTS} did in the same "
        "one: whatever lies before the service is broken. Nights and new installations are silent.",
        expr=f"{requests.format('')} == 0\n  and on (job) {requests.format(' offset 1w')} > {USUAL_REQUESTS}",
        wait="5m",
        severity="critical",
        summary="No request reaches the service.",
        description="In the last quarter of an hour nobody asked {{ $labels.job }}, and at this hour of the week "
        "before there were many. Its instances may well be up: look at what lies before them.",
    )


def _callers_refused() -> Alert:
    refused = 'sum by (job) (rate(windsock_requests_total{code=~"unauthenticated|not_found"}[5m]))'
    return Alert(
        "CallersRefused",
        why="Not our fault by its code, and all the same nobody gets an answer: a token that was changed on one side, "
        "or a model's name. A single caller who is wrong is less than half of the traffic.",
        expr=f"{refused}\n  /\nsum by (job) (rate(windsock_requests_total[5m])) > 0.5",
        wait="10m",
        severity="critical",
        summary="Most callers are refused.",
        description="{{ $value | humanizePercentage }} of the requests to {{ $labels.job }} ended as unauthenticated "
        "or not_found in the last 5 minutes.",
        keep="5m",
    )


def _model_refused() -> Alert:
    return Alert(
        "ModelRefused",
        why="A rollout takes a model within seconds, or refuses it for good.",
        expr="max by (job, role) (windsock_model_refused) == 1",
        wait="2m",
        severity="warning",
        summary="The model that was wanted as {{ $labels.role }} is refused.",
        description="It does not verify, has another schema, or answers what is no number. The one before it "
        "serves on.",
    )


def _companion_down() -> Alert:
    return Alert(
        "CompanionDown",
        why="Its supervisor starts it again within seconds.",
        expr="windsock_companion_up == 0",
        wait="5m",
        severity="warning",
        summary="The companion of {{ $labels.instance }} does not run.",
        description="Nothing moves from the spool of {{ $labels.instance }} into the prediction log, and changes of "
        "roles do not arrive there. Answers go on until the spool is full.",
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


def _spool_fills(objectives: Objectives) -> Alert:
    hours = objectives.spool_room_hours
    return Alert(
        "SpoolFills",
        why="As the last half hour went on, there will be no room left, and then requests are refused. A burst that is "
        "moved within minutes is silent.",
        expr=f"predict_linear(windsock_spool_room_bytes[30m], {hours:g} * 3600) < 0",
        wait="10m",
        severity="warning",
        summary="The spool of {{ $labels.instance }} will be full within the next hours.",
        description=f"At the pace of the last half hour the spool of {{{{ $labels.instance }}}} has no room left in "
        f"less than {hours:g} h, by its own limit or by its volume. From then on predictions are refused (429).",
    )


def _database_down() -> Alert:
    return Alert(
        "DatabaseDown",
        why="The second number is of who asks each 5 seconds, also when nobody writes.",
        expr="windsock_database_up == 0 or windsock_monitor_database_up == 0",
        wait="2m",
        severity="critical",
        summary="{{ $labels.instance }} cannot use the prediction log.",
        description="The last attempts of {{ $labels.instance }} to reach the database failed. Answers go on and "
        "rows gather in the spool; monitoring goes blind.",
        keep="5m",
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
        "although rows were scored a day ago, or a day's labels were late by the log's own rows. The offset "
        "keeps a new system quiet.",
        expr=f"{DELAYED} > {share}\n"
        "  or\n"
        "(\n"
        f"  {LABELS} == 0\n"
        "    and on (job) sum by (job) (increase(windsock_rows_total[1h] offset 1d)) > 0\n"
        ")\n"
        "  or\n"
        f"{fault('labels_late')}",
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


def _monitor_never_ran(objectives: Objectives) -> Alert:
    hours = f"{objectives.monitor_silent_hours:g}"
    never = "windsock_monitor_last_run_timestamp_seconds != windsock_monitor_last_run_timestamp_seconds"
    return Alert(
        "MonitorNeverRan",
        why="A new installation has no run to be late with: its last run is NaN, which compares with nothing. It has "
        "as long as an old one has between two runs.",
        expr=f"{never}",
        wait=f"{hours}h",
        severity="warning",
        summary=f"The monitor has not run once in {hours} hours.",
        description="The page is there, and nobody fills it: quality, drift and faults of the data are not known.",
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
