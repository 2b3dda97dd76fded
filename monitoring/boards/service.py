"""Dashboard *service*: rate, errors, latency, saturation, by protocol and version."""

from grafana_foundation_sdk.models.common import BigValueTextMode

from monitoring.boards.panels import BLUE, FILTER, GREEN, RED, YELLOW, Frame, Panel, Query, course, number

_RATE = "[$__rate_interval]"
_SECONDS = "windsock_request_seconds"
_OURS = "internal|unavailable|failed_precondition"  # the codes that are our fault, as in rules/recording.yml


def _within(by: str) -> str:
    """PromQL: the share of requests within the objective of 20 ms."""
    bucket = f'sum by ({by}) (rate({_SECONDS}_bucket{{{FILTER}, le="0.02"}}{_RATE}))'
    return f"{bucket} / sum by ({by}) (rate({_SECONDS}_count{{{FILTER}}}{_RATE}))"


def _quantile(q: float, by: str) -> str:
    return f"histogram_quantile({q}, sum by ({by}le) (rate({_SECONDS}_bucket{{{FILTER}}}{_RATE})))"


def overview() -> list[Panel]:
    failed = f'sum(rate(windsock_requests_total{{{FILTER}, code=~"{_OURS}"}}{_RATE}))'
    return [
        number(
            Frame("Instances", "Instances that answer Prometheus.", "short", 3, 4, 0, steps=((None, RED), (1, GREEN))),
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
                "Share of requests that failed by our fault; a caller's mistake does not count. Alert: over 1 %.",
                unit="percentunit",
                width=4,
                height=4,
                decimals=2,
                steps=((None, GREEN), (0.001, YELLOW), (0.01, RED)),
            ),
            Query(f"{failed} / sum(rate(windsock_requests_total{{{FILTER}}}{_RATE}))"),
        ),
        number(
            Frame(
                "Within 20 ms",
                "Share of requests that were answered within the objective. Alert: under 99 %.",
                unit="percentunit",
                width=4,
                height=4,
                decimals=2,
                steps=((None, RED), (0.99, GREEN)),
            ),
            Query(_within("job")),
        ),
        number(
            Frame(
                "p99",
                "Latency of the slowest percent.",
                "s",
                4,
                4,
                1,
                steps=((None, GREEN), (0.02, YELLOW), (0.1, RED)),
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


def latency() -> list[Panel]:
    by = "protocol, "
    return [
        course(
            Frame(
                "Latency by protocol",
                "Median and 99th percentile, interpolated within the histogram's buckets. Dashed: the objective.",
                unit="s",
                width=12,
                steps=((None, GREEN), (0.02, RED)),
            ),
            Query(_quantile(0.5, by), "{{protocol}} p50"),
            Query(_quantile(0.99, by), "{{protocol}} p99"),
            line=True,
        ),
        course(
            Frame(
                "Share within 20 ms, by protocol",
                "Exact: the objective is an edge of the histogram. Dashed: 99 %, where the alert is.",
                unit="percentunit",
                width=12,
                high=1,
                steps=((None, RED), (0.99, GREEN)),
            ),
            Query(_within("protocol"), "{{protocol}}"),
            line=True,
            zero=False,
        ),
    ]


def saturation() -> list[Panel]:
    rows = "windsock_batch_rows"
    return [
        course(
            Frame("In flight and queued", "Requests being answered; large batches that wait for the thread.", "short"),
            Query(f"sum by (protocol) (windsock_in_flight_requests{{{FILTER}}})", "{{protocol}} in flight"),
            Query(f"sum(windsock_queued_batches{{{FILTER}}})", "queued batches"),
        ),
        course(
            Frame("Rows scored, by protocol", "Rows a second; a request carries one or many.", "cps"),
            Query(f"sum by (protocol) (rate(windsock_rows_total{{{FILTER}}}{_RATE}))", "{{protocol}}"),
            stacked=True,
        ),
        course(
            Frame("Rows a request", "Mean, and 99th percentile within the histogram's buckets.", "short"),
            Query(f"sum(rate({rows}_sum{{{FILTER}}}{_RATE})) / sum(rate({rows}_count{{{FILTER}}}{_RATE}))", "mean"),
            Query(f"histogram_quantile(0.99, sum by (le) (rate({rows}_bucket{{{FILTER}}}{_RATE})))", "p99"),
        ),
        course(
            Frame(
                "Spool: age of the oldest row",
                "How long the oldest row waits that is not yet in the prediction log. Dashed: 60 s, the alert.",
                "s",
                steps=((None, GREEN), (60, RED)),
            ),
            Query(f"max by (instance) (windsock_spool_oldest_seconds{{{FILTER}}})", "{{instance}}"),
            line=True,
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
