"""Is measured quality what the scores promise? Two-sided, a ticket.

Estimated is what the scores say of themselves (CBPE): season is in them. Measured below it is a relation that changed
or a leak of quality; measured above it is what a dead feed does, whose scores hedge more than they need.
"""

from typing import Final

import numpy as np

from contracts.reports.watching import Instrument, State
from monitoring.expected import limits, many
from monitoring.expected.totals import ALL, Days
from monitoring.expected.windows import Gap

UNIT: Final = "AUC measured less estimated"


def gaps(days: Days, found: Gap, least_labels: int) -> tuple[Instrument, ...]:
    """All rows, then the slices, worst first.

    Args:
        days: the longest window.
        found: of it.
        least_labels: of each class.
    """
    by_label = days.counts.sum((1, 3))  # [s, 3]
    few = (by_label[:, 1:].min(1) < least_labels) | (found.days < limits.GAP_DAYS)
    value = np.where(few, np.nan, found.measured - found.expected)
    with np.errstate(invalid="ignore"):
        deviate = np.abs(value) / found.total_error
    evidence = many.log_e_value(deviate)
    bad = np.concatenate([deviate[:1] > limits.GAP_Z, many.named(evidence[1:])])
    all_ = [_one(days, s, found, value[s], evidence[s], bad[s], least_labels) for s in range(len(days.names))]
    return (all_[0], *many.worst_first(all_[1:]))


def _one(days: Days, s: int, found: Gap, value: float, log_evidence: float, bad: bool, least_labels: int) -> Instrument:
    error = float(found.total_error[s])
    known = bool(np.isfinite(value) and np.isfinite(error))
    state: State = "ticket" if bad else "ok" if known else "unknown"
    half = limits.INTERVAL_Z * error
    return Instrument(
        question="gap",
        slice=days.names[s],
        days=limits.DAYS,
        unit=UNIT,
        value=float(value) if known else None,
        low=float(value - half) if known else None,
        high=float(value + half) if known else None,
        evidence=float(np.exp(log_evidence)) if known and days.names[s] != ALL else None,
        limit=limits.GAP_Z * error if known else None,
        state=state,
        why=_why(found, s, value) if known else _reason(days, s, found, least_labels),
    )


def _why(found: Gap, s: int, value: float) -> str:
    side = "below" if value < 0 else "above"
    measured, expected = found.measured[s], found.expected[s]
    return f"measured {measured:.3f} is {abs(value):.3f} {side} the {expected:.3f} that the scores promise"


def _reason(days: Days, s: int, found: Gap, least_labels: int) -> str:
    negative, positive = days.counts[s].sum((0, 2))[1:]
    if min(negative, positive) < least_labels:
        return f"{positive:,} positive and {negative:,} negative labels, of each at least {least_labels:,} are needed"
    return f"{found.days} days with labels, at least {limits.GAP_DAYS} are needed"
