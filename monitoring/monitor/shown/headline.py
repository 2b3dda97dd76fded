"""The first lines of the page: is it fine, compared with what, since when, and what to do first.

Unknown is never good: a good headline takes a measured quality, its expectation, and an answer to the first question.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from contracts.reports.monitoring import Monitoring
from contracts.reports.watching import Question, WatchedModel, WindowQuality
from monitoring.monitor.shown import remedy
from monitoring.monitor.shown.remedy import Remedy

LONGEST: Final = 28  # days of the window that the headline speaks of
QUESTIONS: Final[dict[Question, str]] = {
    "paired": "worse than its reference scorer on the same rows",
    "gap": "not the quality that these rows deserve",
    "calibration": "its probabilities are off",
    "challenger": "a model of today's labels would be better",
}
Kind = Literal["good", "look", "broken", "unknown"]
STYLES: Final[dict[Kind, str]] = {"good": "good", "look": "warn", "broken": "bad", "unknown": "soft"}
WORDS: Final[dict[Kind, str]] = {
    "good": "As it should be.",
    "look": "To be looked at.",
    "broken": "Broken.",
    "unknown": "Unknown.",
}


@dataclass(frozen=True, slots=True)
class Headline:
    """What the page says first.

    Attributes:
        why: a sentence without its full stop: the finding, or the quality.
        quality: measured beside deserved, where `why` is about something else; "": nothing was measured.
        since: ISO hour, UTC, of the finding's begin; None: unknown, or there is none.
        todo: None: nothing is to be done.
    """

    kind: Kind
    why: str
    quality: str = ""
    since: str | None = None
    todo: Remedy | None = None

    @property
    def word(self) -> str:
        return WORDS[self.kind]

    @property
    def style(self) -> str:
        """Class of the style sheet."""
        return STYLES[self.kind]


def unknown(why: str, alert: str | None = remedy.UNKNOWN) -> Headline:
    """With what the runbook of `alert` does first."""
    return Headline("unknown", why, todo=remedy.remedy(alert))


def headline(report: Monitoring) -> Headline:
    """Of the champion that answers."""
    model = next((one for one in report.watched if one.role == "champion"), None)
    if model is None:
        return unknown(report.window.quality_unknown or "no model has answered in the newest weeks")
    found = judged(model, report.task.subject.plural)
    if found.kind == "unknown" and report.window.quality_unknown:
        return replace(found, why=report.window.quality_unknown)
    return found


def judged(model: WatchedModel, rows: str = "rows") -> Headline:
    """What the instruments and detectors say of a model, the worst first.

    Args:
        rows: what rows are called: "flights".
    """
    whole = next((one for one in model.windows if one.days == LONGEST and not one.slice), None)
    quality = "" if whole is None else quality_sentence(whole, rows)
    kinds: tuple[tuple[Literal["page", "ticket"], Kind], ...] = (("page", "broken"), ("ticket", "look"))
    for state, kind in kinds:
        if (found := _first(model, state)) is not None:
            why, since, alert = found
            return Headline(kind, why, quality, since, remedy.remedy(alert))
    paired = [one for one in model.instruments if one.question == "paired" and not one.slice]
    compared = whole is not None and None not in (whole.auc, whole.expected_low, whole.expected_high)
    if not compared or all(one.state == "unknown" for one in paired):
        reasons = (quality or (whole.why if whole else ""), paired[0].why if paired else "")
        return unknown("; ".join(filter(None, reasons)) or "no instrument has looked at this model")
    return Headline("good", quality)


def _first(model: WatchedModel, state: Literal["page", "ticket"]) -> tuple[str, str | None, str | None] | None:
    """Cause, begin and alert; faults first, as a broken input explains a fall in quality."""
    for fault in model.faults:
        if fault.state == state:
            return fault.cause, fault.since, remedy.DETECTORS.get(fault.detector)
    for one in model.instruments:
        if one.state == state:
            where = f" ({one.slice})" if one.slice else ""
            alert = "SliceWorseThanReference" if one.question == "paired" and one.slice else None
            return f"{QUESTIONS[one.question]}{where}: {one.why}", None, alert or remedy.QUESTIONS[one.question]
    return None


def quality_sentence(window: WindowQuality, rows: str) -> str:
    """Measured beside deserved; "" when nothing was measured."""
    auc, low, high = window.auc, window.expected_low, window.expected_high
    if auc is None:
        return ""
    told = f"AUC {_short(auc)} in the last {window.days} days"
    if low is None or high is None:
        return f"{told}; what these {rows} deserve is not known"
    side = "below" if auc < low else "above" if auc > high else ""
    deserved = f"these {rows} deserve {_short(low)} to {_short(high)}"
    return f"{told}, {side} what is expected: {deserved}" if side else f"{told}; {deserved}"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
