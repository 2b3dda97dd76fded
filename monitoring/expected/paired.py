"""Is this model worse than its reference scorer on the same rows, compared with what its release was?

Both scorers see the same season and the same inputs, so the difference moves with the model alone: a bad release, a
wrong file, scores in another order. For the same reason it is blind to a broken input and to a changed world, which are
the questions of the data's detectors and of the challenger. It pages, and never closes a case alone.
"""

import math
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.reports.watching import Instrument, State
from monitoring.expected import limits, many
from monitoring.expected.totals import ALL, Days, Total
from monitoring.statistics import sequential
from monitoring.statistics.expectation import LEAST_ROWS, Expectation, Release, expect, fewer, lost_auc

Floats = NDArray[np.float64]
UNIT: Final = "nats a row above the release"
PAGE_LIMIT: Final = sequential.year_limit(limits.PAGE_RATE_DAYS)
HOUR_LIMIT: Final = limits.HOURS_A_YEAR / limits.PAGE_RATE_HOURS
_SOME: Final = 3.0  # of the logarithm of the evidence: enough to ask since when
_NEWEST: Final = 7  # days that are judged where a model is compared with its own days before


@dataclass(frozen=True, slots=True)
class Against:
    """What days are held against: `text` says whose, and the judged ones begin at the index `first`."""

    expectation: Expectation
    first: int
    text: str


def paired_days(days: Days, release: Release) -> tuple[Instrument, ...]:
    """All rows by whole days, then the slices, worst first."""
    slices = [_slice(days, s, release) for s in range(1, len(days.names))]
    return (_days(days, release), *_named(slices))


def paired_newest(days: Days, newest: Total, release: Release) -> Instrument:
    """All rows of the newest 24 hours: scores that are none are noticed before the day is over.

    Two bets share the evidence, on what the rows lost and on the order that they are in; their mean is an e-value.
    """
    held = against(days, 0, release.loss)
    value, rows = float(newest.paired[0]), int(newest.labelled[0])
    if held is None or math.isnan(value):
        return _unknown(1, ALL, HOUR_LIMIT, _reason(days, 0) if held is None else _few(rows))
    excess = held.expectation.excess(np.array([value]), np.array([rows]), limits.PAIRED_TOLERANCE)
    evidence = float(sequential.log_single(excess)[0])
    behind = float(lost_auc(newest.counts[0], newest.reference[0]))
    order = ""
    if release.auc is not None and not math.isnan(behind):
        found = release.auc.excess(np.array([behind]), fewer(newest.counts[:1]), limits.AUC_TOLERANCE)
        evidence = float(np.logaddexp(evidence, sequential.log_single(found)[0])) - math.log(2)
        order = f", AUC {-behind:+.3f} beside the reference's"
    state: State = "page" if evidence >= math.log(HOUR_LIMIT) else "ok"
    above = value - held.expectation.mean
    return Instrument(
        question="paired",
        slice=ALL,
        days=1,
        unit=UNIT,
        value=above,
        low=None,
        high=None,
        evidence=sequential.told(evidence),
        limit=HOUR_LIMIT,
        state=state,
        why=f"{above:+.3f} nats a row{order} in the newest 24 hours, {rows:,} labelled rows, compared with {held.text}",
    )


def against(days: Days, s: int, released: Expectation | None) -> Against | None:
    """The release's own numbers, else the older days in hand; None: there are too few of these."""
    recent = max(0, len(days.days) - limits.DAYS)
    if released is not None:
        return Against(released, recent, "its release")
    cut = max(0, len(days.days) - _NEWEST)
    older = expect(days.paired[s, :cut], days.labelled[s, :cut])
    return None if older is None else Against(older, cut, f"its own {older.days} days before, as its release says none")


def _days(days: Days, release: Release) -> Instrument:
    held = against(days, 0, release.loss)
    judged = None if held is None else _Judged.of(days, 0, held)
    if held is None or judged is None:
        return _unknown(0, ALL, PAGE_LIMIT, _reason(days, 0))
    return judged.instrument(ALL, PAGE_LIMIT, judged.state("page", judged.log_evidence >= math.log(PAGE_LIMIT)), held)


@dataclass(frozen=True, slots=True)
class _Judged:
    """`value` since the day `since`: the likely start of a fault, or all judged days when little speaks for one."""

    log_evidence: float
    value: float
    half: float
    since: int
    days: int
    fresh: bool

    @classmethod
    def of(cls, days: Days, s: int, held: Against) -> "_Judged | None":
        """None: no judged day has enough labels."""
        value, rows = days.paired[s, held.first :], days.labelled[s, held.first :]
        excess = held.expectation.excess(value, rows, limits.PAIRED_TOLERANCE)
        if np.isnan(excess).all():
            return None
        evidence = float(sequential.log_detector(excess)[-1])
        start = sequential.likely_start(excess) if evidence > _SOME else 0
        chosen = value[start:][~np.isnan(value[start:])]
        half = 1.96 * held.expectation.careful_sd / math.sqrt(len(chosen))
        fresh = not bool(np.isnan(value[-limits.STALE_DAYS :]).all())
        above = float(chosen.mean() - held.expectation.mean)
        return cls(evidence, above, half, int(days.days[held.first + start]), len(chosen), fresh)

    def state(self, bad: State, found: bool) -> State:
        """Old days alone say nothing good of today."""
        return bad if found else "ok" if self.fresh else "unknown"

    def instrument(self, name: str, limit: float, state: State, held: Against) -> Instrument:
        since = date.fromordinal(self.since).strftime("%-d %B %Y")
        stale = "" if self.fresh else f"; none of the newest {limits.STALE_DAYS} days has enough labels"
        return Instrument(
            question="paired",
            slice=name,
            days=0,
            unit=UNIT,
            value=self.value if self.fresh else None,
            low=self.value - self.half if self.fresh else None,
            high=self.value + self.half if self.fresh else None,
            evidence=sequential.told(self.log_evidence),
            limit=limit,
            state=state,
            why=f"{self.value:+.3f} nats a row since {since}, {self.days} days, compared with {held.text}{stale}",
        )


def _slice(days: Days, s: int, release: Release) -> tuple[str, _Judged | None, Against | None, str]:
    held = against(days, s, release.slices.get(days.names[s]))
    judged = None if held is None else _Judged.of(days, s, held)
    return days.names[s], judged, held, _reason(days, s)


def _named(slices: list[tuple[str, _Judged | None, Against | None, str]]) -> list[Instrument]:
    # A detector divided by the days of a year is an e-value of that year's worst day.
    year = math.log(sequential.year_limit(1.0))
    evidence = np.array([np.nan if judged is None else judged.log_evidence - year for _, judged, _, _ in slices])
    chosen = many.named(evidence, limits.TICKET_RATE)
    limit = max(1, int((~np.isnan(evidence)).sum())) * sequential.year_limit(limits.TICKET_RATE)
    found = []
    for (name, judged, held, reason), bad in zip(slices, chosen, strict=True):
        if judged is None or held is None:
            found.append(_unknown(0, name, limit, reason))
        else:
            found.append(judged.instrument(name, limit, judged.state("ticket", bool(bad)), held))
    return many.worst_first(found)


def _reason(days: Days, s: int) -> str:
    if days.labelled[s].sum() == 0:
        return "no row with a label that has had its time"
    if np.isnan(days.paired[s]).all():
        return f"no reference scorer, or no day of {LEAST_ROWS} labels of both classes"
    known = int((~np.isnan(days.paired[s])).sum())
    return f"the release does not say what it was, and only {known} days have enough labels to compare with"


def _few(rows: int) -> str:
    return f"{rows:,} labelled rows in the newest 24 hours, {LEAST_ROWS} of both classes are needed"


def _unknown(days: int, name: str, limit: float, why: str) -> Instrument:
    return Instrument(
        question="paired",
        slice=name,
        days=days,
        unit=UNIT,
        value=None,
        low=None,
        high=None,
        evidence=None,
        limit=limit,
        state="unknown",
        why=why,
    )
