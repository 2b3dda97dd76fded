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


class Shift(Part, frozen=True):
    """How far one feature's newest week is from others. None is unknown: too few rows to compare.

    Distances are Jensen-Shannon's, 0 to 1, between shares by bin or name; missing values are one bin of them, so a feed
    that died is as far as can be.

    Attributes:
        month: of the newest week from the four before it.
        usual: the largest of these four weeks', each from the other three: what a week of this feature moves by anyway.
        reference: of the newest week from the training sample. It has the season in it.
        missing, missing_before: shares of rows, of the newest week and of the four before.
        mean, mean_before: of known values; None also for categories.
    """

    feature: str
    month: float | None
    usual: float | None
    reference: float | None
    missing: float | None
    missing_before: float | None
    mean: float | None
    mean_before: float | None

    @property
    def unusual(self) -> bool | None:
        """Whether the newest week moved further than each of the four before; by chance one feature in five does,
        and in health one in three, since neighbouring weeks are alike (docs/adr/0031-drift-is-described.md)."""
        return None if self.month is None or self.usual is None else self.month > self.usual


class Apart(Part, frozen=True):
    """How well trees tell rows of the newest week from those of the four before, over all features at once.

    Attributes:
        auc: on days that they did not learn from; .5 is not at all. None is unknown, and `why` says the reason.
        low, high: mean of days with twice its standard error.
        by: features that they split by, the most telling first, with their shares of the gain.
        rows: that were drawn.
    """

    auc: float | None
    low: float | None
    high: float | None
    by: tuple[tuple[str, float], ...]
    rows: int
    why: str = ""


class Drift(Part, frozen=True):
    """What changed in a model's inputs. It describes and alerts nobody (docs/adr/0031-drift-is-described.md).

    Attributes:
        rows, rows_before: of the newest seven days, and of the 28 before.
        shifts: of all features, those that moved furthest beyond their usual first.
        apart: None: rows were not looked at, only their hours.
    """

    rows: int
    rows_before: int
    shifts: tuple[Shift, ...]
    apart: Apart | None = None


class WatchedModel(Part, frozen=True):
    """A model that answered, by digest and role, on the rows that it scored.

    Attributes:
        first, last: ISO hours, UTC, that the numbers are of; None: no rows.
        drift: None: it was not asked for.
    """

    digest: str
    role: str
    rows: int
    first: str | None
    last: str | None
    windows: tuple[WindowQuality, ...]
    instruments: tuple[Instrument, ...]
    faults: tuple[Fault, ...]
    drift: Drift | None = None


class Week(Part, frozen=True):
    """Seven whole local days of the champion, whoever was it. None is unknown.

    Attributes:
        first: its first day, ISO.
        auc: of labelled rows, when each class has labels enough.
        expected_low, expected_high: interval of the AUC that the scores promised (CBPE).
        missing: share of all values of all features.
    """

    first: str
    rows: int
    labelled: int
    auc: float | None
    expected_low: float | None
    expected_high: float | None
    missing: float | None


class Timeline(Part, frozen=True):
    """Weeks, the oldest first, and the days on which a digest was champion first: (ISO day, digest)."""

    weeks: tuple[Week, ...] = ()
    releases: tuple[tuple[str, str], ...] = ()
