"""What watching each model by its hours of traffic found: quality beside what the window deserves, faults of the data.

Unknown is a state of its own, with its reason; it is never good, and it resolves nothing.
"""

from typing import Literal

from contracts.reports import Part

State = Literal["ok", "unknown", "ticket", "page"]
Question = Literal["paired", "gap", "calibration", "challenger"]


class Instrument(Part, frozen=True):
    """One question about a model's quality, and its answer.

    Attributes:
        question: "paired": is this model worse than the reference scorer on the same rows, compared with its
            release? "gap": measured less estimated (CBPE) quality; "calibration": mean score less share of positives;
            "challenger": would a model of today's labels be better?
        slice: "" is all rows, else "origin=JFK".
        days: length of the window; 0: since the release, for what is sequential.
        value: None is unknown, and `why` says the reason.
        low, high: interval of `value`; None: none is stated.
        evidence: an e-value; None: the instrument has none.
        limit: of `evidence` where there is one, else of `value`, from which on the state is not ok.
        why: a sentence for people.
    """

    question: Question
    slice: str
    days: int
    unit: str
    value: float | None
    low: float | None
    high: float | None
    evidence: float | None
    limit: float | None
    state: State
    why: str


class Fault(Part, frozen=True):
    """What a detector of data faults says of one subject.

    Attributes:
        detector: its name in `monitoring.detectors.DETECTORS`.
        subject: a feature, a source of features, a slice; "" is the whole.
        cause: for people: "wind_speed looks like m/s"; "" when the state is ok.
        since: ISO hour, UTC, of the first hour of this fault; None: there is none.
    """

    detector: str
    subject: str
    state: State
    value: float | None
    limit: float | None
    rows: int
    cause: str = ""
    since: str | None = None


class WindowQuality(Part, frozen=True):
    """Quality of one window, all rows or a slice. None is unknown, and `why` says the reason.

    Attributes:
        days: 1, 7 or 28: of rows whose labels have had their time the newest 24 hours, or whole local days.
        rows: these, and all newer ones, whose labels may yet come.
        mature: rows whose label has had its time; only these are judged.
        labelled: of the mature ones.
        auc, log_loss, mean_score, positive_share: measured on labelled mature rows.
        expected_auc, expected_low, expected_high: estimated from the scores alone (CBPE), and its interval.
    """

    days: int
    slice: str
    rows: int
    mature: int
    labelled: int
    auc: float | None
    log_loss: float | None
    mean_score: float | None
    positive_share: float | None
    expected_auc: float | None
    expected_low: float | None
    expected_high: float | None
    why: str = ""


class WatchedModel(Part, frozen=True):
    """A model that answered, by digest and role, on the rows that it scored.

    Attributes:
        first, last: ISO hours, UTC, that the numbers are of; None: no rows.
    """

    digest: str
    role: str
    rows: int
    first: str | None
    last: str | None
    windows: tuple[WindowQuality, ...]
    instruments: tuple[Instrument, ...]
    faults: tuple[Fault, ...]
