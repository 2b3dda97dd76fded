"""Service level objectives of requests, made from the objectives: recording rules of their ratios and error budgets.

Beyer et al., The Site Reliability Workbook (2018), chapter 5: a burn rate of 1 spends the budget of 30 days in 30 days.
A request is good or bad by its own counters, so a night of ten requests weighs ten. Without requests a ratio is NaN,
which is neither good nor bad: nothing was promised to nobody.
"""

from dataclasses import dataclass
from typing import Final

from contracts.objectives import Objectives
from monitoring.boards.rule_yaml import Recording, edge

OUR_FAULT: Final = "internal|unavailable|failed_precondition"  # codes of a request that failed by our fault
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_NEW: Final = "[{window}]"


@dataclass(frozen=True, slots=True)
class Slo:
    """A promise about requests.

    Attributes:
        name: of its series and alerts, as "failed".
        title: for people, as "Availability".
        by: labels that each have a budget of their own.
        bad, total: PromQL of a rate, with {window}.
        budget: the share of 30 days' requests that may be bad.
        what: a bad request in words, as "failed by our fault".
    """

    name: str
    title: str
    by: tuple[str, ...]
    bad: str
    total: str
    budget: float
    what: str

    def series(self, operation: str) -> str:
        """The name of a recorded series: level:metric:operation."""
        return f"{'_'.join(self.by)}:windsock_requests_{self.name}:{operation}"

    def ratio(self, window: str) -> str:
        """The recorded share of bad requests in a window of `WINDOWS`."""
        return self.series(f"ratio_rate{window}")

    @property
    def target(self) -> float:
        """The share that must be good. Rounded, since 1 - .001 is no short decimal number."""
        return round(1 - self.budget, 6)


def slos(objectives: Objectives) -> tuple[Slo, ...]:
    """Availability of each job, latency of each job and protocol."""
    requests, seconds = "windsock_requests_total", "windsock_request_seconds"
    le, by = edge(objectives.latency_seconds), "job, protocol"
    count = f"sum by ({by}) (rate({seconds}_count{_NEW}))"
    slow = f'{count} - sum by ({by}) (rate({seconds}_bucket{{{{le="{le}"}}}}{_NEW}))'
    failed = f'sum by (job) (rate({requests}{{{{code=~"{OUR_FAULT}"}}}}{_NEW}))'
    all_of = f"sum by (job) (rate({requests}{_NEW}))"
    longer = f"took longer than {objectives.latency_name}"
    return (
        Slo("failed", "Availability", ("job",), failed, all_of, objectives.failed_share, "failed by our fault"),
        Slo("slow", "Latency", ("job", "protocol"), slow, count, objectives.slow_share, longer),
    )


def budget(slo: Slo) -> tuple[Recording, ...]:
    """Its ratios in each window, and what is left of 30 days' budget."""
    ratios = tuple(_ratio(slo, window) for window in WINDOWS)
    return (*ratios, *(_rate(slo, of) for of in ("bad", "total")), _left(slo))


def _ratio(slo: Slo, window: str) -> Recording:
    why = f"The share that {slo.what}; {slo.target * 100:g} % must not. Exact: events are counted." * (window == "5m")
    return Recording(slo.ratio(window), why, f"({slo.bad})\n  /\n{slo.total}".format(window=window))


def _rate(slo: Slo, of: str) -> Recording:
    return Recording(slo.series(f"{of}_rate5m"), "", getattr(slo, of).format(window="5m"))


def _left(slo: Slo) -> Recording:
    bad, total = (f"sum_over_time({slo.series(f'{of}_rate5m')}[30d])" for of in ("bad", "total"))
    return Recording(
        slo.series("budget_left30d"),
        "What is left of the budget: 1 is all of it, below 0 the promise is broken. From recorded rates, as "
        "counters of 30 days would be read at each evaluation.",
        f"1 - {bad} / {total} / {slo.budget:g}",
    )
