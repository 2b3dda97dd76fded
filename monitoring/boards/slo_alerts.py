"""Alerts on how fast an error budget burns: two windows each, so that an alert is both sure and soon over.

Beyer et al., The Site Reliability Workbook (2018), chapter 5: a page at 14.4 times over 1 h and 5 min (2 % of
the budget) or 6 times over 6 h and 30 min (5 %); a ticket at 3 times over 1 d and 2 h, or once over 3 d and 6 h (10 %).
"""

from typing import Final, Literal

from contracts.objectives import Objectives
from monitoring.boards.rule_yaml import Alert, Group, RuleFile, Severity, percent
from monitoring.boards.slo import Slo, budget, slos

Kind = Literal["page", "ticket"]
BURNS: Final[dict[Kind, tuple[tuple[float, str, str], ...]]] = {
    "page": ((14.4, "1h", "5m"), (6, "6h", "30m")),
    "ticket": ((3, "1d", "2h"), (1, "3d", "6h")),
}  # times the budget, over the long window and the short one
# A share of few requests says little: one failure of three is 33 %. At exactly the promised 99.9 %, ten failures among
# the 694 requests that would make them 1.44 % have a probability of 1e-8 an hour (Poisson).
LEAST_BAD: Final = 10
_NAMES: Final = {"failed": "AvailabilityBudget", "slow": "LatencyBudget"}


def slo_rules(objectives: Objectives) -> RuleFile:
    """Each objective's ratios, its page and its ticket: one group, as rules of a group are evaluated in their order."""
    about = (
        "Error budgets of 30 days and alerts on how fast they burn: docs/adr/0035-service-level-objectives.md. Without "
        "requests a ratio is NaN: no alert compares true with it."
    )
    return RuleFile(about, tuple(_group(slo) for slo in slos(objectives)))


def _group(slo: Slo) -> Group:
    return Group(f"windsock-slo-{slo.name}", (*budget(slo), *(_alert(slo, kind) for kind in BURNS)))


def name(slo: Slo, kind: Kind) -> str:
    """As "AvailabilityBudgetBurnsFast"."""
    return f"{_NAMES[slo.name]}Burns{'Fast' if kind == 'page' else 'Slowly'}"


def _burns(slo: Slo, times: float, long: str, short: str) -> str:
    limit = f"{times * slo.budget:.6g}"
    by = ", ".join(slo.by)
    events = f"{slo.bad} >= {LEAST_BAD}".format(window=long).replace("(rate(", "(increase(")
    both = f"{slo.ratio(long)} > {limit} and on ({by}) {slo.ratio(short)} > {limit}"
    return f"(\n  {both}\n    and on ({by}) {events}\n)"


def _alert(slo: Slo, kind: Kind) -> Alert:
    who = " of {{ $labels.protocol }}" if "protocol" in slo.by else ""
    windows = " or ".join(f"{times:g} times over {long} and {short}" for times, long, short in BURNS[kind])
    severity: Severity = "critical" if kind == "page" else "warning"
    first, when = ("hours or days", "now") if kind == "page" else ("the month", "in working hours")
    return Alert(
        name(slo, kind),
        why=f"The budget of {percent(slo.budget)} in 30 days burns {windows}. The short window ends it soon after the "
        f"trouble; fewer than {LEAST_BAD} bad requests are no evidence.",
        expr="\n  or\n".join(_burns(slo, *burn) for burn in BURNS[kind]),
        wait="2m" if kind == "page" else "15m",
        severity=severity,
        summary=f"Callers{who}: too many requests {slo.what}, the budget is gone within {first}.",
        description=f"{{{{ $value | humanizePercentage }}}} of the requests{who} to {{{{ $labels.job }}}} {slo.what}; "
        f"{percent(slo.budget)} may. Look {when} at the dashboard service, by code, protocol and version. It is over "
        "when the short window is below the same limit.",
        keep="10m" if kind == "page" else "",
    )
