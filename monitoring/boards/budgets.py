"""Dashboard *budgets*: each service level objective's promise, what is kept of it, and how fast its budget burns."""

from contracts.objectives import Objectives
from monitoring.boards.panels import GREEN, RED, YELLOW, Frame, Panel, Query, course, number
from monitoring.boards.slo import Slo, slos
from monitoring.boards.slo_alerts import BURNS

_JOB = '{job=~"$job"}'  # a budget is a job's: no instance has one of its own


def rows(objectives: Objectives) -> tuple[tuple[str, list[Panel]], ...]:
    """A row for each objective."""
    return tuple((_title(slo), [_kept(slo), _left(slo), _burning(slo), _course_left(slo)]) for slo in slos(objectives))


def _title(slo: Slo) -> str:
    return f"{slo.title}: {slo.target * 100:g} % of 30 days' requests"


def _legend(slo: Slo) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in slo.by)


def _kept(slo: Slo) -> Panel:
    return number(
        Frame(
            f"{slo.title}, last hour",
            f"Share of requests that were good: none that {slo.what}. Promised: {slo.target * 100:g} %.",
            unit="percentunit",
            width=4,
            height=6,
            decimals=2,
            steps=((None, RED), (1 - BURNS["ticket"][0][0] * slo.budget, YELLOW), (slo.target, GREEN)),
        ),
        Query(f"min(1 - {slo.ratio('1h')}{_JOB})"),
    )


def _left(slo: Slo) -> Panel:
    return number(
        Frame(
            f"{slo.title}: budget left",
            "Of 30 days' budget: 100 % is untouched, below 0 the promise is broken.",
            unit="percentunit",
            width=4,
            height=6,
            decimals=0,
            steps=((None, RED), (0, YELLOW), (0.5, GREEN)),
        ),
        Query(f"min({slo.series('budget_left30d')}{_JOB})"),
    )


def _burning(slo: Slo) -> Panel:
    fast, slow = BURNS["page"][0], BURNS["ticket"][0]
    return course(
        Frame(
            f"{slo.title}: burn rate",
            f"How many times faster than in 30 days the budget is spent. {fast[0]:g} over {fast[1]} and {fast[2]} "
            f"wakes somebody, {slow[0]:g} over {slow[1]} and {slow[2]} waits for the morning.",
            unit="short",
            width=8,
            height=6,
            decimals=1,
            steps=((None, GREEN), (slow[0], YELLOW), (fast[0], RED)),
        ),
        *(Query(f"{slo.ratio(w)}{_JOB} / {slo.budget:g}", f"{_legend(slo)}, {w}") for w in ("5m", "1h", "6h")),
        line=True,
    )


def _course_left(slo: Slo) -> Panel:
    return course(
        Frame(
            f"{slo.title}: budget over time",
            "What is left of 30 days' budget; a step down is an incident.",
            unit="percentunit",
            width=8,
            height=6,
            decimals=0,
            high=1,
            steps=((None, RED), (0, GREEN)),
        ),
        Query(f"{slo.series('budget_left30d')}{_JOB}", _legend(slo)),
        line=True,
    )
