"""Numbers that are not what their name says: another unit, a neighbour's values, a mark for what is not known."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.reports.watching import Fault
from monitoring.detectors.judged import judged, unknown
from monitoring.detectors.scene import Blocks, Scene, Usual
from monitoring.detectors.units import conversions

Floats = NDArray[np.float64]
NEW: Final = 0.5  # share of values that the sample never has, from which on they are another instrument's
NEW_LEAST: Final = 0.15  # above the highest share of the days before
MARKED: Final = 0.8  # share of rows in hours that have the same extreme value
SEEN: Final = 0.02  # of hours of the days before that reached it
BEYOND: Final = 0.3  # of the sample's range, outside of it
ATOM: Final = 0.15  # share of rows in one bin, above twice the highest share of the days before
MARKS: Final = (-9999.0, -999.0, -99.0, -9.0, -1.0, 99.0, 999.0, 9999.0)  # that stand for "not known" by habit
UNEVEN: Final = 2.0  # times the variance between hours that chance gives to a share
KNOWN: Final = 15  # values of a block, without which nothing is said of a number
OUT: Final = 1.0  # widths of the days' range, for a mean to be another one
FAR_OUT: Final = 4.0  # widths, where nothing else tells
HOURS: Final = 4  # of a block, at least, for a constant to be one
NEAR: Final = 0.5  # widths outside of the range, that are near


@dataclass(frozen=True)
class Character:
    """What tells one number from others, by block, arrays [29, k]. NaN: too few values.

    Attributes:
        few_values: [k], how many values the sample has of a number that has few; else 0.
        mean: of known values; `spread` the logarithm of their standard deviation.
        new: share of values that the sample never has; NaN also where it has many.
        missing: share of rows.
        hourly: [hours, k], means of the newest block's hours.
    """

    blocks: Blocks
    few_values: NDArray[np.int64]
    mean: Floats
    spread: Floats
    new: Floats
    missing: Floats
    hourly: Floats

    @classmethod
    def of(cls, scene: Scene, blocks: Blocks) -> "Character":
        sizes = np.array([len(values) for values in scene.yardstick.values])
        rows = blocks.rows[:, None].astype(np.float64)
        missing, sums = blocks.sums("missing")[:, : len(sizes)], blocks.sums("sums")
        known = rows - missing
        with np.errstate(all="ignore"):
            known[known < KNOWN] = np.nan
            mean = sums[:, :, 0] / known
            spread = 0.5 * np.log(np.maximum(sums[:, :, 1] / known - mean**2, 1e-12))
            new = blocks.sums("novel") / known
            new[:, sizes == 0] = np.nan
            parts = [hour.sums[:, 0] / (hour.rows - hour.missing[: len(sizes)]) for hour in blocks.hours[0]]
            return cls(blocks, sizes, mean, spread, new, missing / rows, np.array(parts))

    @cached_property
    def usual_mean(self) -> Usual:
        return self.blocks.usual(self.mean)

    @cached_property
    def usual_missing(self) -> Usual:
        return self.blocks.usual(self.missing)

    @cached_property
    def foreign(self) -> NDArray[np.bool_]:
        """[k]: most of the newest values are none of the sample's, of a number that has few values."""
        usual = self.blocks.usual(self.new)
        return np.asarray((self.new[0] >= NEW) & (self.new[0] > 2 * usual.high + NEW_LEAST))

    @cached_property
    def strange(self) -> NDArray[np.bool_]:
        """[k]: foreign, or far outside of what it was in mean, spread or missing share."""
        return np.asarray(
            self.foreign
            | self.usual_mean.outside(self.mean[0], OUT, 1e-9)
            | self.blocks.usual(self.spread).outside(self.spread[0], OUT, 0.5)
            | self.usual_missing.outside(self.missing[0], OUT, 0.1)
        )

    @cached_property
    def rescaled(self) -> NDArray[np.bool_]:
        """[k]: foreign; of a number with many values, with all hours' means so far outside that no day was."""
        with np.errstate(all="ignore"):
            far = self.usual_mean.outside(np.where(np.isnan(self.hourly), np.inf, self.hourly), FAR_OUT, 1e-9)
        return np.asarray(np.where(self.few_values == 0, far.all(axis=0) & (len(far) >= HOURS), self.foreign))

    def fits(self, column: int, mean: float, missing: float | None = None) -> bool:
        """Whether a mean is one that a column had on the days before, or is near to it; and so a missing share."""
        return _near(self.usual_mean, column, mean, 1e-9) and (
            missing is None or _near(self.usual_missing, column, missing, 0.1)
        )


def _near(usual: Usual, column: int, value: float, least: float) -> bool:
    low, high = usual.low[column], usual.high[column]
    room = max(NEAR * (high - low), least)
    return bool(low - room <= value <= high + room)


def swap(scene: Scene) -> Iterator[Fault]:
    """Neighbours in each other's place: both are strange, and each would be ordinary as the other."""
    numbers = scene.yardstick.schema.numeric
    if not scene.inputs.comparable:
        yield from unknown("swap", scene.yardstick.schema.numeric_names, scene)
        return
    seen = [Character.of(scene, blocks) for blocks in (scene.now, scene.inputs) if blocks.comparable]
    found: dict[int, int] = {}
    for left, right in pairwise(range(len(numbers))):
        other_unit = numbers[left].unit != numbers[right].unit
        if other_unit and left not in found and any(_are_swapped(one, left, right) for one in seen):
            found |= {left: right, right: left}
    for column, one in enumerate(numbers):
        other = numbers[found[column]].name if column in found else ""
        cause = f"{one.name} has the values of {other}, and the other way round: their columns are swapped"
        yield judged("swap", one.name, scene, column in found, float(column in found), 1, cause)


def _are_swapped(seen: Character, left: int, right: int) -> bool:
    return bool(
        seen.strange[left]
        and seen.strange[right]
        and seen.fits(right, seen.mean[0, left], seen.missing[0, left])
        and seen.fits(left, seen.mean[0, right], seen.missing[0, right])
    )


def unit(scene: Scene) -> Iterator[Fault]:
    """Another unit: values are strange, and ordinary when they are converted back."""
    numbers = scene.yardstick.schema.numeric
    if not scene.inputs.comparable:
        yield from unknown("unit", scene.yardstick.schema.numeric_names, scene)
        return
    seen = Character.of(scene, scene.inputs)
    for column, one in enumerate(numbers):
        strange = seen.rescaled[column] and not _is_mostly_one(scene, column)
        name = _looks_like(seen, column, one.unit) if strange else ""
        cause = f"{one.name} looks like {name}, not {one.unit}"
        yield judged("unit", one.name, scene, bool(name), float(seen.rescaled[column]), 1, cause)


def _is_mostly_one(scene: Scene, column: int) -> bool:
    """Whether most values are one, as when nothing falls: the few others have no lattice to tell a unit by."""
    values = scene.yardstick.reference.numeric[:, column]
    known = values[~np.isnan(values)]
    return len(known) == 0 or bool(np.unique(known, return_counts=True)[1].max() > len(known) / 2)


def _looks_like(seen: Character, column: int, written: str) -> str:
    """The unit whose values would be nearest to what they usually are; "" is none."""
    mean, usual = float(seen.mean[0, column]), seen.usual_mean
    back = {name: (mean - offset) / factor for name, (factor, offset) in conversions(written).items()}
    fitting = [name for name, value in back.items() if seen.fits(column, value)]
    middle = float(np.nanmedian(usual.values[:, column]))
    return min(fitting, key=lambda name: abs(back[name] - middle), default="")


def out_of_range(scene: Scene) -> Iterator[Fault]:
    """One value that stands for none: the same highest or lowest one in nearly all hours, which training never had, or
    which far more rows have than before while the others are as ever."""
    names = scene.yardstick.schema.numeric_names
    if not scene.inputs.comparable:
        yield from unknown("range", names, scene)
        return
    marks = _marks(scene)
    for column, name in enumerate(names):
        value, what = marks.get(column, (np.nan, ""))
        cause = f"{name} is {value:g} in nearly every hour, which {what}: a mark for what is not known?"
        yield judged("range", name, scene, column in marks, float(column in marks), 1, cause)


def _marks(scene: Scene) -> dict[int, tuple[float, str]]:
    """Column -> the highest or lowest value that nearly all hours of the newest block have, and what is odd of it."""
    blocks, found = scene.inputs, dict[int, tuple[float, str]]()
    rows = np.array([hour.rows for hour in blocks.hours[0]], np.float64)
    if len(rows) < HOURS:
        return found
    low, high = blocks.extremes("low")[0], blocks.extremes("high")[0]
    for newest, other, name, better in ((high, low, "high", np.greater_equal), (low, high, "low", np.less_equal)):
        before = np.concatenate([one for one in blocks.extremes(name)[1:] if len(one)])
        pick = np.nanmax if name == "high" else np.nanmin
        with np.errstate(all="ignore"):
            value = np.array([pick(c) if (~np.isnan(c)).any() else np.nan for c in newest.T])
            hit = rows @ (newest == value) / rows.sum()
            moves = rows @ (newest != other) / rows.sum()
            reached = better(before, value).mean(axis=0)
        for column in np.flatnonzero((hit >= MARKED) & (moves >= MARKED)):
            mark = float(value[column])
            if reached[column] <= SEEN and _is_foreign(scene, int(column), mark):
                found.setdefault(int(column), (mark, "training never had"))
            elif share := _atom(scene, int(column), mark):
                found.setdefault(int(column), (mark, f"{share:.0%} of the rows have"))
    return found


def _atom(scene: Scene, column: int, value: float) -> float:
    """Share of rows that a bound or one of the usual marks has come to, far above that of any day before, while the
    other rows are as ever, and as evenly from hour to hour as chance: weather comes by places and takes the others
    along. 0: it has not."""
    one = scene.yardstick.schema.numeric[column]
    if value not in (one.low, one.high, *MARKS):
        return 0.0
    counts = scene.inputs.sums("bins")[:, column]
    place = int(np.searchsorted(scene.yardstick.edges[column], value, side="right"))
    known = counts.sum(axis=1)
    with np.errstate(all="ignore"):
        share = counts[:, place] / np.where(known < KNOWN, np.nan, known)
    usual, rows = scene.inputs.usual(share), counts[0, place]
    if not share[0] > 2 * float(usual.high) + ATOM or rows == known[0]:
        return 0.0
    seen = Character.of(scene, scene.inputs)
    hourly = np.array([(hour.bins[column, place], hour.bins[column].sum()) for hour in scene.newest], np.float64)
    hits, all_ = hourly[hourly[:, 1] > 0].T
    uneven = float(np.sum((hits - share[0] * all_) ** 2 / (share[0] * (1 - share[0]) * all_))) / len(all_)
    if uneven > UNEVEN:
        return 0.0
    marked = rows - float(np.nanmedian(usual.values)) * known[0]  # the others of the bin are there on every day
    others = (seen.mean[0, column] * known[0] - marked * value) / (known[0] - marked)
    return float(share[0]) if seen.fits(column, float(others)) else 0.0


def _is_foreign(scene: Scene, column: int, value: float) -> bool:
    """Whether it is far beyond all that training had, or the schema's bound, which training did not reach."""
    one, seen = scene.yardstick.schema.numeric[column], scene.yardstick.reference.numeric[:, column]
    if np.isnan(seen).all():
        return False
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    room = BEYOND * (high - low)
    return value < low - room or value > high + room or (not low <= value <= high and value in (one.low, one.high))
