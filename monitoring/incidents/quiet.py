"""Months as they were: what fires there is false, and what a fault is blamed for must not fire there."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from contracts.reports.incidents import FalseAlarm, Quiet
from monitoring.incidents.alarms import Alarm, Key, alarms
from monitoring.incidents.simulator import Seen, World, before
from monitoring.watch.look import DAYS, iso

STEP: Final = 3  # hours between two looks at a quiet time
PAUSE: Final = 24  # hours without it end an alarm
MONTH: Final = 365.25 * 2  # hours
WEEK: Final = 7 * 24  # hours
NEAR: Final = 2  # weeks
RESAMPLED_STEP: Final = 6  # hours between looks at a resampled time
_SALT: Final = 20_130_701


class QuietMonths:
    """Looks at a world without a fault, each made once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._alarms: dict[int, tuple[Alarm, ...]] = {}

    def at(self, hour: int) -> tuple[Alarm, ...]:
        """What was raised at the end of this hour."""
        if hour not in self._alarms:
            self._alarms[hour] = alarms(self._world.lasting(self._world.before(hour + 1), hour))
        return self._alarms[hour]

    def keys(self, first: int, last: int, step: int) -> set[Key]:
        """All that was raised between two hours, by looks each `step` hours: a multiple of 3."""
        hours = range(first // step * step, last + 1, step)
        return {alarm.key for hour in hours for alarm in self.at(hour)}

    def summary(self) -> Quiet:
        """Of the whole time, from its first row on."""
        hours = range(self._world.first // STEP * STEP, self._world.last + 1, STEP)
        return _summary((hour, self.at(hour)) for hour in hours)


def resampled(world: World, seed: int) -> Quiet:
    """A half-year that might have been: each week is one of the five around it, as it was, so seasons and the habits
    of weekdays stay, and what lasts days stays together (block bootstrap, Künsch 1989).

    A week comes from its own side of the clock's change. The first five weeks are there to compare with.
    """
    seen = drawn_weeks(world, np.random.default_rng([seed, _SALT]))
    hours = range(seen[0].mature.hour + DAYS * 24, seen[-1].mature.hour + 1, RESAMPLED_STEP)
    return _summary((hour, alarms(world.lasting(before(seen, hour + 1), hour))) for hour in hours)


def drawn_weeks(world: World, rng: np.random.Generator) -> list[Seen]:
    """The hours of a half-year, each week of which is one of the five around it."""
    weeks: dict[int, list[Seen]] = {}
    whole = (world.last + 1 - world.first) // WEEK
    for one in world.seen:
        if (week := (one.mature.hour - world.first) // WEEK) < whole:
            weeks.setdefault(week, []).append(one)
    zone = ZoneInfo(world.yardstick.schema.calendar.time_zone)
    clock = {week: _clock(some, zone) for week, some in weeks.items()}
    drawn: list[Seen] = []
    for week in sorted(weeks):
        near = [other for other in weeks if abs(other - week) <= NEAR and clock[other] == clock[week]]
        source = int(rng.choice(near))
        shift = (week - source) * WEEK
        drawn += [
            Seen(replace(one.fresh, hour=one.fresh.hour + shift), replace(one.mature, hour=one.mature.hour + shift))
            for one in weeks[source]
        ]
    return drawn


def _clock(week: list[Seen], zone: ZoneInfo) -> tuple[timedelta | None, ...]:
    """Distance to UTC at both ends."""
    ends = (week[0].mature.hour, week[-1].mature.hour)
    return tuple(datetime.fromtimestamp(hour * 3_600, zone).utcoffset() for hour in ends)


def _summary(looks: Iterable[tuple[int, tuple[Alarm, ...]]]) -> Quiet:
    made = list(looks)
    found = false_alarms(made)
    return Quiet(
        months=round((made[-1][0] - made[0][0]) / MONTH, 2),
        windows=len(made),
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
