"""The verdict: evidence that the candidate is no worse, not the lack of evidence that it is.

A candidate passes when the end of the interval, not its middle, is inside the margin (non-inferiority: Walker and
Nowacki 2011, "Understanding equivalence and noninferiority testing"). All of AUC, log-loss and calibration must pass,
each at 5 %, so a candidate at one margin passes one time in twenty at most, whatever the others say
(intersection-union: Berger 1982). A slice refuses when it is shown to be outside its margin, at 5 % for all slices
together (Bonferroni): wanting evidence of health from each of forty small ones would refuse everybody.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from contracts.reports.gate import Behaviour, GateReport, Loss, Verdict
from registry.gate import limits
from registry.gate.losses import ByDay, Found
from registry.gate.rows import Rows

ALPHA: Final = 0.05  # of a wrong pass at the margin, and of all slices together
MARGINS: Final = {"AUC": limits.AUC, "log-loss": limits.LOG_LOSS, "calibration": limits.CALIBRATION}


def judge(rows: Rows, behaviour: Sequence[Behaviour], candidate: str, champion: str) -> GateReport:
    """What a gate says of a candidate.

    Args:
        behaviour: what else must hold.
        candidate, champion: digests.
    """
    failed = [f"{one.name}: {one.measured}" for one in behaviour if not one.passed]
    days = sorted(set(rows.day.tolist()))
    positives = int(rows.label.sum())
    losses: tuple[Loss, ...] = ()
    unjudged: tuple[str, ...] = ()
    missing = _missing(len(rows), positives, len(days))
    if not missing:
        losses, unjudged = _all(rows)
        failed += [_told(one) for one in losses if not one.passed]
    verdict: Verdict = "refuse" if failed else "wait" if missing else "pass"
    return GateReport(
        format=1,
        candidate=candidate,
        champion=champion,
        verdict=verdict,
        why=tuple(failed or missing),
        first=date.fromordinal(days[0]).isoformat() if days else None,
        last=date.fromordinal(days[-1]).isoformat() if days else None,
        days=len(days),
        rows=len(rows),
        positives=positives,
        losses=losses,
        unjudged=unjudged,
        behaviour=tuple(behaviour),
    )


def all_rows(found: dict[str, Found], rows: int) -> list[Loss]:
    """The three measures of all rows against their margins."""
    return [
        Loss(
            measure=name,
            slice="",
            rows=rows,
            loss=one.loss,
            error=one.error,
            bound=(bound := one.upper(ALPHA)),
            margin=MARGINS[name],
            passed=bound <= MARGINS[name],
            power=one.power(MARGINS[name], ALPHA),
        )
        for name, one in found.items()
    ]


def _all(rows: Rows) -> tuple[tuple[Loss, ...], tuple[str, ...]]:
    judged: list[tuple[str, int, Found]] = []
    unjudged: list[str] = []
    for name, mask in rows.slices.items():
        part = rows.take(mask)
        positives = int(part.label.sum())
        few = min(positives, len(part) - positives) < limits.LEAST_OF_CLASS
        if few or len(set(part.day.tolist())) < limits.LEAST_SLICE_DAYS:
            unjudged.append(name)
        else:
            judged.append((name, len(part), ByDay.of(part).measured()["AUC"]))
    alpha = ALPHA / max(1, len(judged))
    slices = [
        Loss(
            "AUC", name, count, one.loss, one.error, (bound := one.lower(alpha)), limits.SLICE_AUC,
            bound <= limits.SLICE_AUC, None,
        )
        for name, count, one in judged
    ]  # fmt: skip
    whole = all_rows(ByDay.of(rows).measured(), len(rows))
    return (*whole, *sorted(slices, key=lambda one: -one.bound)), tuple(unjudged)


def _missing(rows: int, positives: int, days: int) -> list[str]:
    """What is waited for."""
    found = []
    if days < limits.LEAST_DAYS:
        found.append(f"{days} days with labels after both as-of dates, {limits.LEAST_DAYS} are needed")
    for name, count in (("positive", positives), ("negative", rows - positives)):
        if count < limits.LEAST_OF_CLASS:
            found.append(f"{count} {name} labels, {limits.LEAST_OF_CLASS} are needed")
    return found


def _told(one: Loss) -> str:
    where = f" of {one.slice}" if one.slice else ""
    end = "is worse by at least" if one.slice else "may be worse by"
    return f"{one.measure}{where} {end} {one.bound:.4f} ({one.loss:+.4f} measured), allowed {one.margin:g}"
