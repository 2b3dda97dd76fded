"""How many rows come, and how many of them come twice."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from contracts.reports.watching import Fault
from monitoring.detectors.judged import judged
from monitoring.detectors.scene import DAY, Scene
from monitoring.hours.hour import Hour

WEEK: Final = 7 * DAY
WEEKS: Final = 4
AWAY: Final = 3 * DAY  # without a row: the model was not in this role, or NothingArrives has paged for long
SILENT: Final = 3  # hours without a row, in which there always were some
PLENTY: Final = 30  # rows of these hours in each of the weeks before
LOW: Final = 0.4  # times the least rows of a day of the weeks before
HIGH: Final = 2.5  # times the most
TWICE: Final = 0.08  # share of repeated rows above the highest of the days before


def volume(scene: Scene) -> Iterator[Fault]:
    """A ticket, also when nothing arrives: NothingArrives pages, from what the service itself counts.

    Rows of the newest hours against the same hours of the weeks before: none, few or many.
    """
    silent, hours = _rows(scene, SILENT), _stay(scene)
    if len(silent) <= 2 or hours < SILENT:
        yield Fault("volume", "", "unknown", None, None, sum(hour.rows for hour in scene.newest))
        return
    if silent[0] == 0 and min(silent[1:]) >= PLENTY:
        cause = f"no row for {SILENT} hours, in which there were {min(silent[1:])} or more in each week before"
        yield judged("volume", "", scene, True, 0, min(silent[1:]), cause, _hours(scene, DAY))
        return
    day = _rows(scene, hours)
    least, most = min(day[1:]), max(day[1:])
    low, high = day[0] < LOW * least and least >= PLENTY, day[0] > HIGH * most and day[0] >= PLENTY
    cause = f"{day[0]} rows in {hours} hours; {least} to {most} in those of the weeks before"
    yield judged(
        "volume", "", scene, low or high, day[0], LOW * least if low else HIGH * most, cause, _hours(scene, DAY)
    )


def duplicate(scene: Scene) -> Iterator[Fault]:
    """Rows under an id that came before in the hour, and rows that are equal to another one of it."""
    blocks = scene.inputs
    for subject, name in (("ids", "repeated_ids"), ("rows", "repeated_rows")):
        if not blocks.comparable:
            yield Fault("duplicate", subject, "unknown", None, None, int(blocks.rows[0]))
            continue
        share = blocks.sums(name) / np.maximum(blocks.rows, 1)
        usual = blocks.usual(share)
        limit = float(usual.high) + max(float(usual.high - usual.low), TWICE)
        cause = f"{share[0]:.0%} of the rows came twice ({subject}); at most {float(usual.high):.0%} on the days before"
        yield judged("duplicate", subject, scene, bool(share[0] > limit), share[0], limit, cause)


def _stay(scene: Scene) -> int:
    """Newest full hours, at most a day, since this model came back: another one had its role, or nothing came. 0: it
    has not."""
    if len(scene.at) == 0 or scene.now_hour - scene.at[-1] >= AWAY:
        return 0
    at = np.append(scene.at, scene.now_hour + 1)
    back = np.flatnonzero(np.diff(at) > DAY) + 1
    returned = [int(at[place]) for place in back if place < len(scene.at)]
    return min(DAY, scene.now_hour - returned[-1]) if returned else DAY


def _rows(scene: Scene, hours: int) -> list[int]:
    """Of the newest hours, and of the same ones of each week before that the log goes back to."""
    counts = np.array([hour.rows for hour in scene.hours], np.int64)
    total = np.concatenate([[0], np.cumsum(counts)])
    found = []
    for week in range(WEEKS + 1):
        last = scene.now_hour - week * WEEK
        if week and (len(counts) == 0 or scene.at[0] > last - hours):
            break
        begin, end = np.searchsorted(scene.at, [last - hours + 1, last + 1])
        found.append(int(total[end] - total[begin]))
    return found


def _hours(scene: Scene, hours: int) -> tuple[Hour, ...]:
    return tuple(hour for hour in scene.hours if hour.hour > scene.now_hour - hours)
