"""How often the gate is wrong: candidates of known loss, made from the released model, on months that might have been.

    python -m benchmarks.gate            -> reports/gate_characteristic.json and .svg

A candidate has the champion's logits with noise on them, and a little of the truth where it is to be no worse for it:
so its loss over the whole half-year is known, and it differs from the champion row by row as another training does. A
month is 28 days drawn with replacement; the gate judges it as it judges real ones.
"""

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_picture import draw
from benchmarks.intervals import wilson
from cli.gate import scored
from contracts.artifact import Artifact
from contracts.files import write_atomic
from contracts.reports import write_report
from contracts.reports.gate import Characteristic, Drawn
from contracts.store import load_champion
from contracts.workspace import Workspace
from demo.replayed_rows import later_months, read_rows
from monitoring.scorer.reference import ReferenceScorer
from registry.gate import limits
from registry.gate.judge import all_rows, judge
from registry.gate.losses import ByDay
from registry.gate.rows import Rows

DAYS: Final = 28
DRAWS: Final = 4_000
FEW_DRAWS: Final = 400  # of what is judged with all its slices
NOISE: Final = 0.25  # of the logits: months then know a difference to .001, as of two trainings
LOSSES: Final = (-0.01, -0.005, -0.002, 0.0, 0.001, 0.002, limits.AUC, 0.004, 0.005, 0.0075, 0.01, 0.02)


def main(draws: int = DRAWS) -> None:
    """Measure and write."""
    workspace = Workspace(Path.cwd())
    champion = load_champion(workspace.store, workspace.public_key)
    rows = months(workspace, champion)
    rng = np.random.default_rng(0)
    found = []
    for loss in LOSSES:
        name = "no worse" if loss == 0 else f"{abs(loss):g} AUC {'worse' if loss > 0 else 'better'}"
        found.append(measured(name, of_loss(rows, loss, rng), draws, rng))
        print(told(found[-1]), file=sys.stderr)
    few = max(50, draws * FEW_DRAWS // DRAWS)
    for name, candidate in (
        ("the champion itself", rows.champion),
        ("odds 1.3 times too high", odds(rows.champion, 1.3)),
        ("one slice is guessed", one_slice(rows, rng)),
    ):
        found.append(measured(name, candidate_of(rows, candidate), few, rng, slices=True))
        print(told(found[-1]), file=sys.stderr)
    report = Characteristic(1, champion.digest, DAYS, limits.AUC, tuple(found))
    write_report(workspace.reports / "gate_characteristic.json", report)
    write_atomic(workspace.reports / "gate_characteristic.svg", draw(report).encode())


def months(workspace: Workspace, champion: Artifact) -> Rows:
    """All labelled rows after the champion's date; the candidate is the champion."""
    some = read_rows(workspace.features, champion.schema, *later_months(workspace.features, champion.manifest.as_of))
    scorer = ReferenceScorer(champion.model)
    return scored(some, champion, (scorer, scorer))


def of_loss(rows: Rows, loss: float, rng: np.random.Generator) -> Rows:
    """A candidate that loses so much AUC to the champion over all rows: noise, and as much truth as it takes."""
    noise, told = rng.normal(0, NOISE, len(rows)), rng.random(len(rows)) < 0.5
    truth = np.where(told, rows.label - rows.champion, 0.0)
    low, high = -1.0, 2.0
    for _ in range(24):
        middle = (low + high) / 2
        made = candidate_of(rows, _sigmoid(_logit(rows.champion) + noise + middle * truth))
        low, high = (middle, high) if ByDay.of(made).measured()["AUC"].loss > loss else (low, middle)
    return made


def candidate_of(rows: Rows, scores: NDArray[Any]) -> Rows:
    """The same rows with another candidate."""
    return replace(rows, candidate=np.asarray(scores, np.float64))


def odds(score: NDArray[Any], factor: float) -> NDArray[Any]:
    """As of a release without its calibration."""
    return np.asarray(_sigmoid(_logit(score) + math.log(factor)))


def one_slice(rows: Rows, rng: np.random.Generator) -> NDArray[Any]:
    """The largest slice of a category that is no more than a fifth has the scores of other rows of it."""
    sizes = {name: int(mask.sum()) for name, mask in rows.slices.items() if ".." not in name}
    chosen = rows.slices[max((name for name in sizes if sizes[name] <= len(rows) / 5), key=lambda name: sizes[name])]
    scores = rows.champion.copy()
    scores[chosen] = rng.permutation(scores[chosen])
    return scores


def measured(name: str, rows: Rows, draws: int, rng: np.random.Generator, *, slices: bool = False) -> Drawn:
    """How many of the drawn months pass."""
    whole = ByDay.of(rows)
    true, count = whole.measured(), len(whole.rows)
    passed, by_auc, errors = 0, 0, list[float]()
    for _ in range(draws):
        chosen = rng.integers(0, count, DAYS)
        if slices:
            verdict = judge(days(rows, chosen), (), "candidate", "champion").verdict == "pass"
        else:
            found = whole.drawn(chosen).measured()
            losses = all_rows(found, 0)
            verdict = all(one.passed for one in losses)
            by_auc += next(one.passed for one in losses if one.measure == "AUC")
            errors.append(found["AUC"].error)
        passed += verdict
    low, high = wilson(passed, draws)
    return Drawn(
        name=name,
        auc_loss=true["AUC"].loss,
        log_loss_loss=true["log-loss"].loss,
        calibration_loss=true["calibration"].loss,
        error=float(np.mean(errors)) if errors else None,
        slices=slices,
        draws=draws,
        passed=passed,
        share=passed / draws,
        low=low,
        high=high,
        auc_share=by_auc / draws if errors else None,
    )


def days(rows: Rows, chosen: NDArray[np.int64]) -> Rows:
    """Rows of these days, by their place; one that is drawn twice is two days. Rows are in the order of their days."""
    names = np.unique(rows.day)
    begin, end = (np.searchsorted(rows.day, names, side=side) for side in ("left", "right"))
    parts = [np.arange(begin[place], end[place]) for place in chosen]
    found = rows.take(np.concatenate(parts))
    number = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return replace(found, day=int(names[0]) + number)


def told(one: Drawn) -> str:
    """A line for a terminal."""
    by_auc = "" if one.auc_share is None else f", by AUC alone {one.auc_share:.2%}"
    return f"{one.name:<24} {one.share:7.2%} of {one.draws} pass ({one.low:.2%} to {one.high:.2%}){by_auc}"


def _logit(score: NDArray[Any]) -> NDArray[Any]:
    held = np.clip(score, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(held / (1 - held)))


def _sigmoid(logit: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-logit)))


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:]))
