"""Dashboard *service*: rate, errors, latency, saturation, by protocol and version."""

from grafana_foundation_sdk.models.common import BigValueTextMode

from contracts.objectives import Objectives
from monitoring.boards.panels import BLUE, FILTER, GREEN, RED, YELLOW, Frame, Panel, Query, course, number
from monitoring.boards.rule_yaml import edge, percent
from monitoring.boards.slo import OUR_FAULT

_RATE = "[$__rate_interval]"
_SECONDS = "windsock_request_seconds"


def _within(objectives: Objectives, by: str) -> str:
    """PromQL: the share of requests within the objective."""
    le = edge(objectives.latency_seconds)
    bucket = f'sum by ({by}) (rate({_SECONDS}_bucket{{{FILTER}, le="{le}"}}{_RATE}))'
    return f"{bucket} / sum by ({by}) (rate({_SECONDS}_count{{{FILTER}}}{_RATE}))"


def _enough(objectives: Objectives) -> float:
    """The share that must be within the objective. Rounded, since 1 - .01 is no short decimal number."""
    return round(1 - objectives.slow_share, 6)


def _quantile(q: float, by: str) -> str:
    return f"histogram_quantile({q}, sum by ({by}le) (rate({_SECONDS}_bucket{{{FILTER}}}{_RATE})))"


def overview(objectives: Objectives) -> list[Panel]:
    """The row of numbers on top."""
    limit, failures = objectives.latency_seconds, objectives.failed_share
    failed = f'sum(rate(windsock_requests_total{{{FILTER}, code=~"{OUR_FAULT}"}}{_RATE}))'
    return [
        number(
            Frame(
                "Instances", "Instances that answer Prometheus.", "suffix: up", 3, 4, 0, steps=((None, RED), (1, GREEN))
            ),
            Query(f'sum(up{{{FILTER}, job="windsock-service"}})'),
        ),
        number(
            Frame(
                "Requests", "Prediction requests a second, answered or refused.", "reqps", 4, 4, steps=((None, BLUE),)
            ),
            Query(f"sum(rate(windsock_requests_total{{{FILTER}}}{_RATE}))"),
        ),
        number(
            Frame(
                "Failed",
                "Share of requests that failed by our fault; a caller's mistake does not count. "
                f"Alert: over {percent(failures)}.",
                unit="percentunit",
                width=4,
                height=4,
                decimals=2,
                steps=((None, GREEN), (failures / 10, YELLOW), (failures, RED)),
            ),
            Query(f"{failed} / sum(rate(windsock_requests_total{{{FILTER}}}{_RATE}))"),
        ),
        number(
            Frame(
                f"Within {objectives.latency_name}",
                f"Share of requests answered within the objective. Alert: under {percent(_enough(objectives))}.",
                unit="percentunit",
                width=4,
                height=4,
                decimals=2,
                steps=((None, RED), (_enough(objectives), GREEN)),
            ),
            Query(_within(objectives, "job")),
        ),
        number(
            Frame(
                "p99",
                "Latency of the slowest percent.",
                "s",
                4,
                4,
                1,
                steps=((None, GREEN), (limit, YELLOW), (5 * limit, RED)),
            ),
            Query(_quantile(0.99, "")),
        ),
        number(
            Frame("Model", "Version that answers: the first 12 characters of its digest.", "none", 5, 4),
            Query(f"sum by (version) (windsock_model_info{{{FILTER}}})", "{{version}}"),
            text=BigValueTextMode.NAME,
        ),
    ]


def traffic() -> list[Panel]:
    """Requests by protocol, code and version."""
    model = f"* on (job, instance) group_left (version) windsock_model_info{{{FILTER}}}"
    return [
        course(
            Frame("Requests by protocol", "Prediction requests a second.", "reqps"),
            Query(f"sum by (protocol) (rate(windsock_requests_total{{{FILTER}}}{_RATE}))", "{{protocol}}"),
            stacked=True,
        ),
        course(
            Frame(
                "Refused and failed, by code",
                "Requests a second without a prediction: what the caller got wrong, and what we did.",
                "reqps",
            ),
            Query(f'sum by (code) (rate(windsock_requests_total{{{FILTER}, code!="ok"}}{_RATE}))', "{{code}}"),
        ),
        course(
            Frame("Requests by model version", "Prediction requests a second, by the version that answered.", "reqps"),
            Query(f"sum by (version) (rate(windsock_requests_total{{{FILTER}}}{_RATE}) {model})", "{{version}}"),
            stacked=True,
        ),
    ]


def latency(objectives: Objectives) -> list[Panel]:
    """Quantiles, and the share that the alert looks at."""
    by = "protocol, "
    return [
        course(
            Frame(
                "Latency by protocol",
                "Median and 99th percentile, interpolated within the histogram's buckets. Dashed: the objective.",
                unit="s",
                width=12,
                steps=((None, GREEN), (objectives.latency_seconds, RED)),
            ),
            Query(_quantile(0.5, by), "{{protocol}} p50"),
            Query(_quantile(0.99, by), "{{protocol}} p99"),
            line=True,
        ),
        course(
            Frame(
                f"Share within {objectives.latency_name}, by protocol",
                "Exact: the objective is an edge of the histogram. "
                f"Dashed: {percent(_enough(objectives))}, where the alert is.",
                unit="percentunit",
                width=12,
                high=1,
                steps=((None, RED), (_enough(objectives), GREEN)),
            ),
            Query(_within(objectives, "protocol"), "{{protocol}}"),
            line=True,
            zero=False,
        ),
    ]


def saturation(objectives: Objectives) -> list[Panel]:
    """What waits: requests, spooled rows, the database."""
    age = objectives.spool_age_seconds
    rows = "windsock_batch_rows"
    return [
        course(
            Frame(
                "In progress and queued", "Requests being answered; large batches that wait for the thread.", "short"
            ),
            Query(f"sum by (protocol) (windsock_in_flight_requests{{{FILTER}}})", "{{protocol}} in progress"),
            Query(f"sum(windsock_queued_batches{{{FILTER}}})", "queued batches"),
        ),
        course(
            Frame("Rows scored, by protocol", "Rows a second; a request carries one or many.", "rowsps"),
            Query(f"sum by (protocol) (rate(windsock_rows_total{{{FILTER}}}{_RATE}))", "{{protocol}}"),
            stacked=True,
        ),
        course(
            Frame("Rows a request", "Mean, and 99th percentile within the histogram's buckets.", "suffix: rows"),
            Query(f"sum(rate({rows}_sum{{{FILTER}}}{_RATE})) / sum(rate({rows}_count{{{FILTER}}}{_RATE}))", "mean"),
            Query(f"histogram_quantile(0.99, sum by (le) (rate({rows}_bucket{{{FILTER}}}{_RATE})))", "p99"),
        ),
        course(
            Frame(
                "Spool: age of the oldest row",
                f"How long the oldest row waits that is not yet in the prediction log. Dashed: {age:g} s, the alert.",
                "s",
                steps=((None, GREEN), (age, RED)),
            ),
            Query(f"max by (instance) (windsock_spool_oldest_seconds{{{FILTER}}})", "{{instance}}"),
            line=True,
        ),
        course(
            Frame(
                "Spool: room",
                "Bytes that it still may grow by, of its own limit or of its volume. At 0 requests are refused.",
                "bytes",
                low=0,
                steps=((None, RED), (64 * 2**20, GREEN)),
            ),
            Query(f"min by (instance) (windsock_spool_room_bytes{{{FILTER}}})", "{{instance}}"),
        ),
        course(
            Frame("Spool: rows", "Rows that wait, and rows a second that move into the prediction log.", "short"),
            Query(f"sum(windsock_spool_unmoved_rows{{{FILTER}}})", "waiting"),
            Query(f"sum(rate(windsock_moved_rows_total{{{FILTER}}}{_RATE}))", "moved a second"),
        ),
        course(
            Frame(
                "Database", "1: the last write to the prediction log succeeded, 0: it failed.", "short", low=0, high=1
            ),
            Query(f"min by (instance) (windsock_database_up{{{FILTER}}})", "{{instance}}"),
        ),
    ]
