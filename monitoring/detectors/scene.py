"""The hours of one model as a look sees them: the newest block, and the same hours of the days before.

Traffic has its day, and so has weather: at night there are few rows, and other ones. So the newest hours are compared
with the same hours of each of 28 days before, a number for each day, and their spread is the measure of what is usual.
Days differ far more than rows do, which is why no detector counts rows as if they were independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.objectives import Objectives
from monitoring.hours.hour import Hour
from monitoring.hours.yardstick import Yardstick

DAY: Final = 24  # hours
DAYS: Final = 28  # before, that are compared with
LEAST_DAYS: Final = 10  # of them with rows enough
BLOCK_ROWS: Final = 240  # of the newest block: in the daytime some hours, at night up to 24
LEAST_ROWS: Final = 40  # of a block
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """One model in one role, and the moment of the look.

    Attributes:
        hours: sorted; one without rows is not among them. None is newer than `now_hour`.
        now_hour: hours since 1970, of the newest hour.
        mature_hour: the newest hour whose labels have had their time.
    """

    hours: Sequence[Hour]
    yardstick: Yardstick
    objectives: Objectives
    now_hour: int
    mature_hour: int

    @cached_property
    def at(self) -> NDArray[np.int64]:
        """[h], hours since 1970."""
        return np.array([one.hour for one in self.hours], np.int64)

    @cached_property
    def inputs(self) -> "Blocks":
        """Of the newest rows."""
        return Blocks.ending(self.hours, self.at, self.now_hour)

    @cached_property
    def now(self) -> "Blocks":
        """Of the newest rows, a quarter of the others: what began an hour ago is not yet diluted."""
        return Blocks.ending(self.hours, self.at, self.now_hour, rows=BLOCK_ROWS // 4)

    @cached_property
    def day(self) -> "Blocks":
        """Of the newest 24 hours."""
        return Blocks.ending(self.hours, self.at, self.now_hour, rows=2**62)

    @cached_property
    def newest(self) -> tuple[Hour, ...]:
        """Hours of the newest block."""
        return self.inputs.hours[0]


@dataclass(frozen=True)
class Blocks:
    """The newest block of hours, and the same hours of the days before.

    Attributes:
        hours: [29] of hours with rows; the newest block first, then that of the day before.
    """

    hours: tuple[tuple[Hour, ...], ...]

    @classmethod
    def ending(cls, hours: Sequence[Hour], at: NDArray[np.int64], last: int, rows: int = BLOCK_ROWS) -> "Blocks":
        """The newest block ends with the hour `last`, has these rows if 24 hours have them, and 4 hours at least."""
        first, found = last + 1, 0
        while first > last + 1 - DAY and (found < rows or last - first < 3):
            first -= 1
            place = int(np.searchsorted(at, first))
            if place < len(at) and at[place] == first:
                found += hours[place].rows
        edges = np.searchsorted(at, [[first - DAY * day, last + 1 - DAY * day] for day in range(DAYS + 1)])
        return cls(tuple(tuple(hours[begin:end]) for begin, end in edges))

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """[29]."""
        return np.array([sum(hour.rows for hour in block) for block in self.hours], np.int64)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """[28], days before with rows enough."""
        return np.asarray(self.rows[1:] >= np.minimum(LEAST_ROWS, max(self.rows[0] / 4, 1)))

    @property
    def comparable(self) -> bool:
        """Whether the newest block has rows enough, and days enough to be compared with. A quarter of the usual rows
        is few: a day's rows, of another hour more than of the others, are not what that hour alone is."""
        if self.rows[0] < LEAST_ROWS or self.known.sum() < LEAST_DAYS:
            return False
        return bool(self.rows[0] >= np.median(self.rows[1:][self.known]) / 4)

    def sums(self, name: str) -> Floats:
        """[29, ...], sums of a member of `Hour` over each block; a block without rows has zeros."""
        return _summed(self.hours, name)

    def extremes(self, name: str) -> list[Floats]:
        """[29] of [hours of the block, k], members of `Hour`."""
        return [np.array([getattr(hour, name) for hour in block]) for block in self.hours]

    def usual(self, values: Floats) -> "Usual":
        """Of the days before.

        Args:
            values: [29, ...].
        """
        return Usual.of(values[1:][self.known])


@dataclass(frozen=True)
class Usual:
    """What numbers were on the days before. NaN in `low` and `high`: on no day.

    Attributes:
        values: [days, ...].
        low, high: [...].
    """

    values: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(cls, values: Floats) -> "Usual":
        # NaN is skipped by both; the warning that nothing is left is what NaN says.
        return cls(values, np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0))

    def outside(self, value: Floats, margin: float, least: float) -> NDArray[np.bool_]:
        """Whether a value is further outside the range of the days before than `margin` times its width, and
        than `least`. NaN is not."""
        room = np.maximum(margin * (self.high - self.low), least)
        return np.asarray((value > self.high + room) | (value < self.low - room))


def _summed(blocks: tuple[tuple[Hour, ...], ...], name: str) -> Floats:
    shape = np.shape(getattr(next(hour for block in blocks for hour in block), name))
    flat = [np.asarray(getattr(hour, name), np.float64) for block in blocks for hour in block]
    table = np.concatenate([np.zeros((1, *shape)), np.cumsum(np.array(flat), axis=0)])
    ends = np.cumsum([len(block) for block in blocks])
    starts = ends - [len(block) for block in blocks]
    return np.asarray(table[ends] - table[starts])
