"""What `windsock demo` and `windsock replay` found: the verdict in `reports/demo.json`, traffic in `state/`."""

from typing import Literal

from contracts.reports import Part


class Check(Part, frozen=True):
    """`expected` and `measured` are sentences for people; `passed` is what counts."""

    name: str
    passed: bool
    expected: str
    measured: str


class DemoReport(Part, frozen=True):
    """`seconds` of wall time, installation included where `make demo` did it."""

    format: Literal[1]
    verdict: Literal["pass", "fail"]
    seconds: float
    checks: tuple[Check, ...]

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(check.passed for check in self.checks)


class Latency(Part, frozen=True):
    """As the client saw it. `counts`: requests by the report's `latency_edges_ms`, and one more above the last edge."""

    p50_ms: float
    p99_ms: float
    counts: tuple[int, ...]


class Compared(Part, frozen=True):
    """Rows that both protocols answered, and the largest difference of their two scores."""

    rows: int
    max_difference: float


class ReplayReport(Part, frozen=True):
    """What `windsock replay` sent, and what came back.

    Attributes:
        labels: delivered and acknowledged.
        statuses: how often each answer came, such as {"rest 200": 85309}.
        latency: protocol -> month -> its requests; None: none was answered.
    """

    format: Literal[1]
    rows: int
    answered: int
    labels: int
    seconds: float
    requests_per_second: int
    statuses: dict[str, int]
    compared: Compared
    latency_edges_ms: tuple[float, ...]
    latency: dict[str, dict[str, Latency | None]]
