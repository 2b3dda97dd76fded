"""Would a model of today's labels be better? Loss of the model less that of the challenger-to-date; a ticket.

The challenger is grown anew each week on labels that are mature, and scored on later rows only, so its lead is what
retraining would have gained: evidence and decision at once. Not shifted by days: right probabilities are part of what
retraining buys. Four weeks and one interval, since a lead of .01 against days of .02 is no matter of hours.
"""

from typing import Final

from contracts.reports.watching import Instrument, State
from monitoring.expected import limits
from monitoring.expected.totals import ALL, Days
from monitoring.statistics import histograms

UNIT: Final = "nats a row above a model of today's labels"


def challenger(days: Days) -> Instrument:
    """Of all rows of the longest window."""
    total, rows = days.challenger[0, :, 0], days.challenger[0, :, 1]
    known = int((rows > 0).sum())
    if known < limits.LEAST_DAYS:
        why = f"{known} days with labels that a challenger scored, too, at least {limits.LEAST_DAYS} are needed"
        return _instrument(None, None, "unknown", why)
    worked = rows > 0
    total, rows = total[worked], rows[worked]
    value = float(total.sum() / rows.sum())
    error = float(histograms.jackknife_error((total.sum() - total) / (rows.sum() - rows)))
    state: State = "ticket" if value > limits.CHALLENGER_Z * error else "ok"
    return _instrument(value, error, state, f"{value:+.4f} nats a row over {known} days, {int(rows.sum()):,} rows")


def _instrument(value: float | None, error: float | None, state: State, why: str) -> Instrument:
    half = None if error is None else 1.96 * error
    return Instrument(
        question="challenger",
        slice=ALL,
        days=limits.DAYS,
        unit=UNIT,
        value=value,
        low=None if value is None or half is None else value - half,
        high=None if value is None or half is None else value + half,
        evidence=None,
        limit=limits.CHALLENGER_Z * error if error is not None else None,
        state=state,
        why=why,
    )
