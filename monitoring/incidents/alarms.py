"""What a look raises, in one form: faults of the data and answers of the instruments."""

from dataclasses import dataclass
from typing import Final

from contracts.reports.watching import State, WatchedModel

Key = tuple[str, str]
RAISED: Final = ("ticket", "page")


@dataclass(frozen=True, slots=True)
class Alarm:
    """`detector`: one of data faults, or the question of an instrument; `subject`: a feature, stream or slice."""

    detector: str
    subject: str
    severity: State
    said: str

    @property
    def key(self) -> Key:
        """Detector and subject."""
        return self.detector, self.subject


def alarms(model: WatchedModel) -> tuple[Alarm, ...]:
    """All pages and tickets, the pages first."""
    found = [Alarm(one.detector, one.subject, one.state, one.cause) for one in model.faults]
    found += [Alarm(one.question, one.slice, one.state, one.why) for one in model.instruments]
    raised = (one for one in found if one.severity in RAISED)
    return tuple(sorted(raised, key=lambda one: one.severity != "page"))
