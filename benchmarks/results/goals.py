"""What the service is to reach beside its peers, and whether it did: the benchmark measures, this table judges."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from benchmarks.results.report import Measure, Target, unknown


class Goal(NamedTuple):
    """`name` is of a measure in the report's `ratios` or `figures`."""

    name: str
    rule: Literal["at least", "at most"]
    goal: float


GOALS: Final = (
    Goal("rest_to_fastapi", "at least", 2),
    Goal("rest_to_mlserver", "at least", 6),
    Goal("rest_p99_to_fastapi", "at most", 1),
    Goal("arrivals_p99_to_fastapi", "at most", 1),
    Goal("rest_requests_per_second", "at least", 25_000),
    Goal("grpc_to_mlserver", "at least", 2),
    Goal("bulk_to_mlserver", "at least", 1.6),
    Goal("bulk_to_onnxruntime", "at least", 0.6),
    Goal("sustained_bulk_unmoved_seconds", "at most", 2),
    Goal("two_workers_to_one", "at least", 1.7),
    Goal("log_metrics_auth_cost", "at most", 0.15),
    Goal("overload_goodput_to_peak", "at least", 0.9),
    Goal("overload_p99", "at most", 100),
    Goal("health_under_512_connections", "at most", 100),
    Goal("memory_growth", "at most", 4),
    Goal("memory_large_bodies", "at most", 640),  # the limit of the pod's memory in k8s/base/serving.yaml
    Goal("start_to_ready", "at most", 2.5),
)


def judge(measures: Mapping[str, Measure]) -> tuple[Target, ...]:
    """Every goal with what was measured; one that was not measured is not reached either."""
    return tuple(
        _judge(goal, measures.get(goal.name, unknown(goal.name, "", "its case did not run"))) for goal in GOALS
    )


def _judge(goal: Goal, found: Measure) -> Target:
    reached, wanted = None, f"{goal.rule} {goal.goal:,g}{_unit(found.unit)}"
    if found.value is None:
        said = f"not known: {found.why}; wanted {wanted}"
    else:
        reached = found.value >= goal.goal if goal.rule == "at least" else found.value <= goal.goal
        told = "reached" if reached else "MISSED"
        said = f"{told} by {_away(found.value, goal.goal)}: {found.value:,.4g}{_unit(found.unit)}, wanted {wanted}"
    return Target(goal.name, found.what, goal.rule, goal.goal, found.unit, found.value, reached, said)


def _away(value: float, goal: float) -> str:
    """How far it is: a share of the goal, or how many times the goal it is."""
    return f"a factor of {value / goal:.1f}" if value > 2 * goal else f"{abs(value - goal) / goal:.0%}"


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""
