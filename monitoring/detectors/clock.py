"""A clock that is off: minutes of the day against the hour in which their rows arrive."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from contracts.reports.watching import Fault
from monitoring.detectors.judged import judged, unknown
from monitoring.detectors.scene import DAY, DAYS, Scene

PERIODS: Final = {"minute of day": 1440.0, "hour of day": 24.0}  # units, and how many a day has
OFF: Final = 0.75 / 24  # of a day, from which on a clock is off
STEADY: Final = 0.25 / 24  # of a day, by which an hour's mean moves from day to day, at most


def clock(scene: Scene) -> Iterator[Fault]:
    """Of each number that tells the time of day: by how much it is ahead of what it was at this local hour."""
    schema = scene.yardstick.schema
    columns = [(i, one.name, PERIODS[one.unit]) for i, one in enumerate(schema.numeric) if one.unit in PERIODS]
    if not columns:
        return
    if not scene.inputs.comparable:
        yield from unknown("clock", [name for _, name, _ in columns], scene)
        return
    newest = {hour.hour for hour in scene.newest}
    began = scene.now_hour - DAY * (DAYS + 1)
    hours = [hour for hour in scene.hours if hour.hour > began]
    local = np.array([local_hour(hour.hour, schema.calendar.time_zone) for hour in hours])
    now = np.array([hour.hour in newest for hour in hours])
    rows = np.array([hour.rows for hour in hours], np.float64)
    for column, name, period in columns:
        mean = np.array([hour.sums[column, 0] for hour in hours]) / rows * (2 * np.pi / period)
        shifts, spread = [], []
        for place in np.flatnonzero(now & (rows >= 5)):
            before = mean[~now & (rows >= 5) & (local == local[place])]
            if len(before) >= 5:
                usual = np.angle(np.exp(1j * before).mean())
                shifts.append(_turn(mean[place] - usual))
                spread.append(np.median(np.abs([_turn(one - usual) for one in before])))
        if len(shifts) < 3:
            yield from unknown("clock", [name], scene)
            continue
        shift, moved = float(np.median(shifts)) / (2 * np.pi), float(np.median(spread)) / (2 * np.pi)
        found = abs(shift) >= OFF and moved <= STEADY
        cause = f"{name} is {abs(shift) * 24:.1f} hours {'late' if shift > 0 else 'early'} for the hour of arrival"
        yield judged("clock", name, scene, found, shift * 24, OFF * 24, f"{cause}: another time zone?")


def _turn(angle: float) -> float:
    """Into (-pi, pi]."""
    return float(np.angle(np.exp(1j * angle)))


@lru_cache(maxsize=4096)
def local_hour(hour: int, zone: str) -> int:
    """Of the day, of an hour since 1970, UTC."""
    return datetime.fromtimestamp(hour * 3600, UTC).astimezone(ZoneInfo(zone)).hour
