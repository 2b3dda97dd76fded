"""A number that does not move: one value for longer than it ever was."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.reports.watching import Fault
from monitoring.detectors.judged import judged, unknown
from monitoring.detectors.scene import DAY, DAYS, LEAST_DAYS, LEAST_ROWS, Scene

LEAST_HOURS: Final = 6  # with one value
LONGER: Final = 1.5  # times the longest of the days before
COMMON: Final = 0.2  # share of training rows of a value that may stay for weeks: nothing fell, the best visibility


def stuck(scene: Scene) -> Iterator[Fault]:
    """Of each number: for how many hours it has had one value, nothing missing counted."""
    names = scene.yardstick.schema.numeric_names
    began = scene.now_hour - DAY * (DAYS + 1)
    hours = [hour for hour in scene.hours if hour.hour > began]
    if not hours or len({hour.hour // DAY for hour in hours}) < LEAST_DAYS or hours[-1].hour < scene.now_hour - DAY:
        yield from unknown("stuck", names, scene)
        return
    low, high = np.array([hour.low for hour in hours]), np.array([hour.high for hour in hours])
    rows = np.array([hour.rows for hour in hours])
    same = low == high
    runs = _runs(same & np.vstack([np.zeros((1, same.shape[1]), bool), low[1:] == low[:-1]]), same)
    for column, name in enumerate(names):
        newest = int(runs[-1, column])
        # The run that goes on is not among those that it is compared with.
        longest = int(runs[: len(runs) - newest, column].max(initial=0))
        limit = max(LEAST_HOURS, LONGER * longest + 2)
        found = newest >= limit and rows[len(rows) - newest :].sum() >= LEAST_ROWS
        found = found and not _is_common(scene, column, float(high[-1, column]))
        cause = (
            f"{name} has been {high[-1, column]:g} for {newest} hours; never longer than {longest} on the days before"
        )
        yield judged("stuck", name, scene, bool(found), newest, limit, cause, tuple(hours[len(hours) - newest :]))


def _runs(goes_on: NDArray[np.bool_], same: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[h, k], for how many hours up to this one there has been one value; 0: there are several in this hour."""
    runs = np.zeros(same.shape, np.int64)
    before = np.zeros(same.shape[1], np.int64)
    for place in range(len(same)):
        before = np.where(same[place], np.where(goes_on[place], before + 1, 1), 0)
        runs[place] = before
    return runs


def _is_common(scene: Scene, column: int, value: float) -> bool:
    values = scene.yardstick.reference.numeric[:, column]
    return bool(np.mean(values == np.float32(value)) >= COMMON)
