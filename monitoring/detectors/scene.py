"""The hours of one model as tables: what detectors compare, made once for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.objectives import Objectives
from monitoring.hours.hour import Counts, Hour, Sums
from monitoring.hours.yardstick import Yardstick

WEEK: Final = 168  # hours
WEEKS: Final = 4  # before the newest one that are compared with


@dataclass(frozen=True)
class Scene:
    """One model in one role, and the moment of the look. Tables [h, ...] are by row of `hours`.

    Attributes:
        hours: sorted; one without rows is not among them. None is newer than `now_hour`.
        now_hour: hours since 1970, of the newest hour that has ended or goes on.
        mature_hour: the newest hour whose labels have had their time.
    """

    hours: Sequence[Hour]
    yardstick: Yardstick
    objectives: Objectives
    now_hour: int
    mature_hour: int

    @cached_property
    def hour(self) -> NDArray[np.int64]:
        """[h], since 1970."""
        return np.array([one.hour for one in self.hours], np.int64)

    @cached_property
    def rows(self) -> Counts:
        """[h]."""
        return np.array([one.rows for one in self.hours], np.int64)

    def table(self, name: str) -> Counts | Sums:
        """[h, ...] of a member of `Hour` that is an array: "missing" is [h, f]."""
        if name not in self._tables:
            self._tables[name] = np.stack([getattr(one, name) for one in self.hours])
        return self._tables[name]

    @cached_property
    def _tables(self) -> dict[str, NDArray[Any]]:
        return {}

    def newest(self, hours: int) -> NDArray[np.bool_]:
        """[h], whether it is one of the newest hours of the clock, those without rows counted, too."""
        return np.asarray(self.hour > self.now_hour - hours)

    def same_hours_before(self, hours: int, weeks: int = WEEKS) -> list[NDArray[np.bool_]]:
        """The same hours of each of the weeks before, the newest week first, [h] each."""
        first, last = self.now_hour - hours, self.now_hour
        return [(self.hour > first - w * WEEK) & (self.hour <= last - w * WEEK) for w in range(1, weeks + 1)]
