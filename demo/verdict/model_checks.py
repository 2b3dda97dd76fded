"""Checks of the released model: measured as evaluated, good, small."""

import numpy as np

from contracts.reports.demo import Check
from demo.evidence import Evidence


def measured_auc_is_the_evaluated_one(e: Evidence) -> Check:
    measured = {month.month: month.quality for month in e.monitoring.months}
    offs: dict[str, float] = {}
    for month in e.evaluation.months:
        seen = measured.get(month.month)
        if seen is None or month.auc is None or seen.rows != month.rows:
            offs[month.month] = float("inf")
        else:
            offs[month.month] = abs(seen.auc - month.auc)
    unknown = [month for month, off in offs.items() if off == float("inf")]
    worst = max(offs.values(), default=float("inf"))
    return Check(
        "measured AUC is the offline evaluation's, month by month",
        worst <= e.objectives.auc_tolerance,
        f"at most {e.objectives.auc_tolerance:g} apart on the same labelled rows, each month",
        f"unknown or on other rows: {', '.join(unknown) or 'every month'}"
        if worst == float("inf")
        else f"{worst:.2g} apart at most, {len(offs)} months",
    )


def small_enough(e: Evidence) -> Check:
    released = e.evaluation.released
    limit = e.objectives.student_bytes if released == "student" else e.objectives.teacher_bytes
    return Check(
        "the released model is small",
        0 < e.model_bytes <= limit,
        f"{released}: at most {limit / 1000:,.0f} kB",
        f"{e.model_bytes / 1000:,.1f} kB",
    )


def good_enough(e: Evidence) -> Check:
    ours, peers = e.evaluation.months, {m.month: m.auc for m in e.evaluation.baselines["lightgbm"].months}
    pairs = [(m.auc, peer) for m in ours if m.auc is not None and (peer := peers.get(m.month)) is not None]
    comparable = len(ours) == len(peers) == len(pairs) > 0
    behind = max(peer - auc for auc, peer in pairs) if comparable else float("inf")
    mean = float(np.mean([auc for auc, _ in pairs])) if comparable else float("nan")
    floor, margin = e.objectives.mean_auc, e.objectives.auc_below_lightgbm
    return Check(
        "the released model is good",
        comparable and behind <= margin and mean >= floor,
        f"AUC {floor:g} or more on average, at most {margin:g} below LightGBM in any month",
        f"AUC {mean:.4f} on average; {_side(behind)} in its worst month",
    )


def _side(behind: float) -> str:
    return f"{abs(behind):.4f} {'below' if behind > 0 else 'above'} LightGBM"
