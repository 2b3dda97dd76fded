"""Alerts on the quality of each model that answers: one a question, on what its instrument says (monitoring/expected).

The instruments decide, with their stated rates of false alarms; a rule only tells of it. Unknown is NaN, which compares
with nothing: it neither fires nor, for as long as `keep`, resolves.
"""

from typing import Final

from monitoring.boards.rule_yaml import Alert

_KEEP: Final = "2h"  # two runs of the monitor
_WAIT: Final = "10m"
_WHO: Final = "the {{ $labels.role }} {{ $labels.version }}"


def quality_alerts() -> tuple[Alert, ...]:
    """The page first."""
    return (_worse_than_reference(), _slice_worse(), _gap(), _miscalibrated(), _retraining_would_help())


def _state(question: str, condition: str) -> str:
    return f'max by (job, version, role) (windsock_instrument_state{{question="{question}"}}) {condition}'


def _worse_than_reference() -> Alert:
    return Alert(
        "ModelWorseThanReference",
        why="Both see the same rows, so season and weather are not in the difference, nor are broken inputs. A "
        "sequential test looks at it each hour, and is wrong once in a hundred years.",
        expr=_state("paired", "== 2"),
        wait=_WAIT,
        severity="critical",
        summary="The model is broken: it loses to its reference scorer.",
        description=f"On the same rows {_WHO} does worse beside the small reference scorer of its own artifact than it "
        "did at its release. The rows are not the reason: the release is.",
        keep=_KEEP,
    )


def _slice_worse() -> Alert:
    return Alert(
        "SliceWorseThanReference",
        why="Many slices are looked at, so the evidence is held against their number (e-BH).",
        expr='max by (job, version, role, slice) (windsock_instrument_state{question="paired", slice!=""}) == 1',
        wait=_WAIT,
        severity="warning",
        summary="The model loses to its reference scorer on {{ $labels.slice }}.",
        description=f"On these rows {_WHO} does worse beside its reference scorer than it did at its release.",
        keep=_KEEP,
    )


def _gap() -> Alert:
    return Alert(
        "QualityGap",
        why="What the scores let expect of these very rows (CBPE) is the yardstick, not a constant: a hard month may "
        "be hard. Two-sided, since broken inputs and flipped labels move it either way.",
        expr=_state("gap", "== 1"),
        wait=_WAIT,
        severity="warning",
        summary="The measured quality is not what these rows deserve.",
        description=f"The AUC of {_WHO} is further from what its scores let expect of these rows than days differ.",
        keep=_KEEP,
    )


def _miscalibrated() -> Alert:
    return Alert(
        "Miscalibrated",
        why="Probabilities may be wrong while their order is right: whoever acts on a threshold is hurt by the first.",
        expr=_state("calibration", "== 1"),
        wait=_WAIT,
        severity="warning",
        summary="The probabilities are not right.",
        description=f"The mean probability of {_WHO}, or its slope, is off by more than days differ. Its order may be "
        "sound: recalibrate before you retrain.",
        keep=_KEEP,
    )


def _retraining_would_help() -> Alert:
    return Alert(
        "RetrainingWouldHelp",
        why="A scorer that is refitted weekly on matured labels is judged on later rows only. Where it wins, the world "
        "has changed, and there is something to learn.",
        expr=_state("challenger", "== 1"),
        wait=_WAIT,
        severity="warning",
        summary="A model of today's labels would be better.",
        description=f"The weekly challenger beats {_WHO} on rows that neither has learned from.",
        keep=_KEEP,
    )
