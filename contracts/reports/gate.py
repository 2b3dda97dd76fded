"""reports/gate.json: whether a candidate may take the champion's place, and what that rests on."""

from typing import Literal

from contracts.reports import Part

Verdict = Literal["pass", "refuse", "wait"]


class Loss(Part, frozen=True):
    """What the candidate loses to the champion on the same rows; negative: it gains.

    Attributes:
        measure: "AUC", "log-loss" in nats a row, "calibration" in probability.
        slice: "" is all rows; else "origin=JFK".
        error: standard error by days.
        bound: of all rows the upper end of the one-sided 95 % interval, which must be inside the margin; of a slice the
            lower end of an interval that holds for all slices together, which must not be outside.
        power: chance that an equal candidate passes on rows like these; None: of a slice.
    """

    measure: str
    slice: str
    rows: int
    loss: float
    error: float
    bound: float
    margin: float
    passed: bool
    power: float | None


class Behaviour(Part, frozen=True):
    """What the candidate did with rows made for it, or what it costs beside the champion."""

    name: str
    passed: bool
    measured: str


class GateReport(Part, frozen=True):
    """The verdict.

    Attributes:
        candidate, champion: digests.
        first, last: local days of the rows, ISO; None: there are no rows.
        unjudged: slices with too few rows of a class.
        why: what was not passed, or what is waited for.
    """

    format: Literal[1]
    candidate: str
    champion: str
    verdict: Verdict
    why: tuple[str, ...]
    first: str | None
    last: str | None
    days: int
    rows: int
    positives: int
    losses: tuple[Loss, ...]
    unjudged: tuple[str, ...]
    behaviour: tuple[Behaviour, ...]


class Drawn(Part, frozen=True):
    """A candidate of known loss, and how many months that might have been it passes.

    Attributes:
        auc_loss, log_loss_loss, calibration_loss: over all rows.
        error: mean standard error of the AUC's loss in a month; None: not kept.
        slices: whether its slices were judged, too.
        low, high: Wilson's interval of `share`, 95 %.
        auc_share: of months that pass by their AUC, whatever the other measures say; None: not kept.
    """

    name: str
    auc_loss: float
    log_loss_loss: float
    calibration_loss: float
    error: float | None
    slices: bool
    draws: int
    passed: int
    share: float
    low: float
    high: float
    auc_share: float | None


class Characteristic(Part, frozen=True):
    """reports/gate_characteristic.json. `days`: of a month; `margin`: of the AUC."""

    format: Literal[1]
    champion: str
    days: int
    margin: float
    candidates: tuple[Drawn, ...]
