"""Scores made worse by so much, and after how many days of mature labels that is noticed.

Each day of the healthy half-year that has four weeks before and after it is the first of a fault once. A share of the
rows gets the score of some other row: the marginal distribution stays, as in a release whose rows were joined wrongly.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.power.quiet import part_of
from benchmarks.power.scores import Scored
from monitoring.expected import limits
from monitoring.expected.calibration import SEQUENTIAL_LIMIT
from monitoring.expected.paired import PAGE_LIMIT
from monitoring.expected.totals import Days
from monitoring.expected.windows import measure_gap
from monitoring.statistics import histograms, quality, sequential
from monitoring.statistics.expectation import Expectation, Release

Floats = NDArray[np.float64]
LOSSES: Final = (0.01, 0.02, 0.03, 0.05)
_WIDTH: Final = 28
_STEPS: Final = 12  # of the search for a share: to 1/4096


def worse(scored: Scored, loss: float, seed: int = 0) -> Floats:
    """Scores [n] whose AUC over all rows is lower by `loss`."""
    best = quality.auc(scored.label, scored.model)

    def mixed(share: float) -> Floats:
        rng = np.random.default_rng(seed)
        chosen = rng.random(len(scored.label)) < share
        return np.where(chosen, rng.permutation(scored.model), scored.model)

    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if best - quality.auc(scored.label, mixed(middle)) < loss:
            low = middle
        else:
            high = middle
    return mixed(high)


def power(scored: Scored, healthy: Days, release: Release) -> dict[str, Any]:
    """By fault: what it costs, and when its instrument speaks."""
    rng = np.random.default_rng(0)
    scores = {f"loses {loss:g} AUC": worse(scored, loss) for loss in LOSSES}
    scores["random scores"] = rng.random(len(scored.label))
    found: dict[str, Any] = {}
    for name, values in scores.items():
        days = scored.days(values)
        found[name] = {
            "auc": round(quality.auc(scored.label, scored.model) - quality.auc(scored.label, values), 4),
            "nats": round(float(np.nanmean(days.paired[0] - healthy.paired[0])), 4),
            "paired, page": _delays(_paired(healthy, days, release)),
            "gap, ticket": _gap(days),
        }
    found["loses 0.05 AUC in one origin"] = _slice(scored, healthy, release)
    found["logits + 1 (wrong calibration)"] = _calibration(scored, healthy, release)
    found["a challenger better by"] = {f"{lead:g} nats": _challenger(healthy, lead) for lead in (0.005, 0.01, 0.02)}
    return found


def _after(healthy: Floats, bad: Floats, start: int) -> Floats:
    """[56]: four weeks of health, then four of the fault."""
    return np.concatenate([healthy[start - _WIDTH : start], bad[start : start + _WIDTH]])


def _starts(days: int) -> range:
    return range(_WIDTH, days - _WIDTH + 1)


def _detected(expected: Expectation, healthy: Floats, bad: Floats, rows: Floats, limit: float, tolerance: float) -> Any:
    """[starts]: days of mature labels to the alarm; inf is none in four weeks."""
    found = []
    for start in _starts(len(rows)):
        part = _after(rows, rows, start)
        evidence = sequential.log_detector(expected.excess(_after(healthy, bad, start), part, tolerance))[_WIDTH:]
        hits = np.flatnonzero(evidence >= math.log(limit))
        found.append(hits[0] + 1 if len(hits) else math.inf)
    return np.array(found)


def _paired(healthy: Days, days: Days, release: Release, s: int = 0, limit: float = PAGE_LIMIT) -> Any:
    expected = release.loss if s == 0 else release.slices[healthy.names[s]]
    if expected is None:
        raise ValueError("the release must have at least 14 days with labels, got fewer; take an earlier `as_of`")
    rows = healthy.labelled[s].astype(float)
    return _detected(expected, healthy.paired[s], days.paired[s], rows, limit, limits.PAIRED_TOLERANCE)


def _delays(delays: Floats) -> dict[str, float | None]:
    median = float(np.median(delays))
    return {
        "faults": len(delays),
        "within_1_day": round(float((delays <= 1).mean()), 3),
        "within_2_days": round(float((delays <= 2).mean()), 3),
        "within_7_days": round(float((delays <= 7).mean()), 3),
        "within_28_days": round(float((delays <= 28).mean()), 3),
        "median_days": median if math.isfinite(median) else None,
    }


def curve(scored: Scored, healthy: Days, release: Release) -> dict[float, Floats]:
    """By loss: share [28] of faults that paged within 1, 2, ... days."""
    found = {}
    for loss in LOSSES:
        delays = _paired(healthy, scored.days(worse(scored, loss)), release)
        found[loss] = np.array([(delays <= day).mean() for day in range(1, _WIDTH + 1)])
    return found


def _gap(days: Days) -> dict[str, float]:
    """Share of windows that lie within the fault and are a ticket."""
    hits = 0
    ends = range(_WIDTH, len(days.days) + 1)
    for end in ends:
        found = measure_gap(part_of(days, end - _WIDTH, end))
        hits += bool(abs(found.measured[0] - found.expected[0]) > limits.GAP_Z * found.total_error[0])
    return {"windows": len(ends), "tickets_after_28_days": round(hits / len(ends), 3)}


def _slice(scored: Scored, healthy: Days, release: Release) -> dict[str, Any]:
    name = max((one for one in release.slices if one in scored.slices), key=lambda one: int(scored.slices[one].sum()))
    values = np.where(scored.slices[name], worse(scored, LOSSES[-1]), scored.model)
    limit = sequential.year_limit(1.0) * len(release.slices) / limits.TICKET_RATE
    delays = _paired(healthy, scored.days(values), release, healthy.names.index(name), limit)
    return {"slice": name, "paired, ticket": _delays(delays)}


def _calibration(scored: Scored, healthy: Days, release: Release) -> dict[str, Any]:
    if release.score is None:
        return {}
    logits = np.log(scored.model / (1 - scored.model)) + 1
    days = scored.days(1 / (1 + np.exp(-logits)))
    rows = healthy.labelled[0].astype(float)
    found = _detected(
        release.score, healthy.relative[0], days.relative[0], rows, SEQUENTIAL_LIMIT, limits.SCORE_TOLERANCE
    )
    return {"calibration, ticket": _delays(found), "paired, page": _delays(_paired(healthy, days, release))}


def _challenger(healthy: Days, lead: float) -> dict[str, float]:
    """As if the challenger's lead were so much on each day."""
    hits = 0
    ends = range(_WIDTH, len(healthy.days) + 1)
    usual = healthy.challenger[0, :, 0].sum() / healthy.challenger[0, :, 1].sum()
    for end in ends:
        total, rows = np.moveaxis(healthy.challenger[0, end - _WIDTH : end], 1, 0)
        total = total + (lead - usual) * rows
        rest = (total.sum() - total) / (rows.sum() - rows)
        hits += bool(total.sum() / rows.sum() > limits.CHALLENGER_Z * histograms.jackknife_error(rest))
    return {"windows": len(ends), "tickets_after_28_days": round(hits / len(ends), 3)}
