"""Months as they were: what fires there is false, and what a fault is blamed for must not fire there."""

from collections.abc import Iterable
from itertools import groupby
from typing import Final

from contracts.reports.incidents import FalseAlarm, Quiet
from monitoring.incidents.alarms import Alarm, Key, alarms
from monitoring.incidents.simulator import World
from monitoring.watch.look import iso

STEP: Final = 3  # hours between two looks at a quiet time
PAUSE: Final = 24  # hours without it end an alarm
MONTH: Final = 365.25 * 2  # hours


class QuietMonths:
    """Looks at a world without a fault, each made once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._alarms: dict[int, tuple[Alarm, ...]] = {}

    def at(self, hour: int) -> tuple[Alarm, ...]:
        """What was raised at the end of this hour."""
        if hour not in self._alarms:
            self._alarms[hour] = alarms(self._world.look(self._world.before(hour + 1), hour))
        return self._alarms[hour]

    def keys(self, first: int, last: int, step: int) -> set[Key]:
        """All that was raised between two hours, by looks each `step` hours: a multiple of 3."""
        hours = range(first // step * step, last + 1, step)
        return {alarm.key for hour in hours for alarm in self.at(hour)}

    def summary(self) -> Quiet:
        """Of the whole time, from its first row on."""
        hours = range(self._world.first // STEP * STEP, self._world.last + 1, STEP)
        found = false_alarms((hour, self.at(hour)) for hour in hours)
        return Quiet(
            months=round((self._world.last - self._world.first) / MONTH, 2),
            windows=len(hours),
            pages=sum(one.severity == "page" for one in found),
            tickets=sum(one.severity == "ticket" for one in found),
            drift_flagged_share=None,
            stated_share=None,
            alarms=tuple(found),
        )


def false_alarms(looks: Iterable[tuple[int, tuple[Alarm, ...]]]) -> list[FalseAlarm]:
    """Alarms by detector and severity, as a person gets them: one message for as long as it goes on."""
    raised = sorted((a.detector, a.severity, hour, a.subject) for hour, some in looks for a in some)
    found: list[FalseAlarm] = []
    for (detector, severity), group in groupby(raised, key=lambda one: one[:2]):
        spell: list[tuple[int, str]] = []
        for _, _, hour, subject in group:
            if spell and hour - spell[-1][0] > PAUSE:
                found.append(_false(detector, severity, spell))
                spell = []
            spell.append((hour, subject))
        found.append(_false(detector, severity, spell))
    return sorted(found, key=lambda one: one.first)


def _false(detector: str, severity: str, spell: list[tuple[int, str]]) -> FalseAlarm:
    subjects = tuple(sorted({subject for _, subject in spell}))
    return FalseAlarm(detector, severity, iso(spell[0][0]), iso(spell[-1][0]), subjects)  # type: ignore[arg-type]
