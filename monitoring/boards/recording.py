"""Recording rules: the shares that the alerts compare with the objectives."""

from typing import Final

from contracts.objectives import Objectives
from monitoring.boards.rule_yaml import Group, Recording, RuleFile, edge

OUR_FAULT: Final = "internal|unavailable|failed_precondition"  # codes of a request that failed by our fault
FAILED: Final = "job:windsock_requests_failed:ratio_rate5m"
SLOW: Final = "job_protocol:windsock_requests_slow:ratio_rate5m"
LABELS: Final = "job:windsock_labels:increase1d"
DELAYED: Final = "job:windsock_labels_delayed:ratio_rate1h"


def recordings(objectives: Objectives) -> RuleFile:
    """All recording rules."""
    about = (
        "What the alerts compare. Names are level:metric:operation; windows are 5 minutes for requests, an hour for "
        "labels, which come in waves. A ratio without traffic is NaN: no alert compares true with it."
    )
    return RuleFile(
        about,
        (
            Group("windsock-requests", (_failed(), _slow(objectives))),
            Group("windsock-labels", (_labels(), _delayed(objectives))),
        ),
    )


def _failed() -> Recording:
    return Recording(
        FAILED,
        why="The share that failed by our fault: what the caller got wrong (invalid_input, unauthenticated, not_found, "
        "too_large) is no failure of the service.",
        expr=f'sum by (job) (rate(windsock_requests_total{{code=~"{OUR_FAULT}"}}[5m]))\n'
        "  /\n"
        "sum by (job) (rate(windsock_requests_total[5m]))",
    )


def _slow(objectives: Objectives) -> Recording:
    le = edge(objectives.latency_seconds)
    return Recording(
        SLOW,
        why=f"The share that took longer than the objective of {objectives.latency_name}. It is an edge of the "
        "histogram, so this share is exact; a quantile would be interpolated.",
        expr=f'1 - sum by (job, protocol) (rate(windsock_request_seconds_bucket{{le="{le}"}}[5m]))\n'
        "  /\n"
        "sum by (job, protocol) (rate(windsock_request_seconds_count[5m]))",
    )


def _labels() -> Recording:
    return Recording(LABELS, why="", expr="sum by (job) (increase(windsock_labels_total[1d]))")


def _delayed(objectives: Objectives) -> Recording:
    hours = objectives.label_delay_hours
    return Recording(
        DELAYED,
        why=f"The share of labels that came more than {hours:g} hours after their outcome; an edge, too.",
        expr=f'1 - sum by (job) (rate(windsock_label_delay_seconds_bucket{{le="{edge(hours * 3_600)}"}}[1h]))\n'
        "  /\n"
        "sum by (job) (rate(windsock_label_delay_seconds_count[1h]))",
    )
