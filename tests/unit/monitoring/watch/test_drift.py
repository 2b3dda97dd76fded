"""What moved is ranked first, a dead feed is as far as can be, and what cannot be known is None."""

from dataclasses import replace

import numpy as np
import pytest

from contracts.reports.watching import Shift
from contracts.store import load_champion
from monitoring.hours.count import Rows, count
from monitoring.hours.hour import Hour
from monitoring.hours.yardstick import Yardstick
from monitoring.watch.apart import DAYS, DAYS_BEFORE, apart
from monitoring.watch.drift import WEEK, describe
from tests.unit.monitoring.conftest import TEMP, World

NOW = 400_000
NAMES = ("quiet", "moved")


@pytest.fixture
def yardstick(world: World) -> Yardstick:
    return Yardstick.of(load_champion(world.root / "store", world.root / "signing.pub"))


def five_weeks(yardstick: Yardstick, n: int = 5_000) -> Rows:
    """Rows that are drawn from the training sample, of five weeks until `NOW`."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(yardstick.reference.numeric), n)
    hour = np.sort(rng.integers(NOW - 5 * WEEK + 1, NOW + 1, n))
    numeric, category = yardstick.reference.numeric[drawn].copy(), yardstick.reference.category[drawn].copy()
    number = np.arange(n)
    return Rows(hour, number, number, numeric, category, rng.random(n), np.full(n, np.nan), np.zeros(n, bool))


def counted(yardstick: Yardstick, rows: Rows) -> list[Hour]:
    return count(yardstick, rows, yardstick.digest, "champion")


def shift_of(shifts: tuple[Shift, ...], name: str) -> Shift:
    return next(one for one in shifts if one.feature == name)


def test_quiet_weeks_move_no_further_than_their_usual_by_much(yardstick: Yardstick) -> None:
    drift = describe(counted(yardstick, five_weeks(yardstick)), yardstick, NOW)
    assert drift.rows + drift.rows_before == 5_000
    assert len(drift.shifts) == len(yardstick.schema.names)
    assert all(one.month is not None and one.month < 0.3 for one in drift.shifts)
    assert np.mean([one.unusual is True for one in drift.shifts]) < 0.5


def test_what_moved_comes_first_and_a_dead_feed_is_known(yardstick: Yardstick) -> None:
    rows = five_weeks(yardstick)
    newest = rows.hour > NOW - WEEK
    rows.numeric[newest, TEMP] = np.nan
    first = describe(counted(yardstick, rows), yardstick, NOW).shifts[0]
    assert first.feature == "temp"
    assert first.unusual
    assert first.month == pytest.approx(1.0)
    assert first.reference == pytest.approx(1.0)
    assert (first.missing, first.mean) == (1.0, None)
    assert first.missing_before == 0.0
    assert first.mean_before == pytest.approx(51.0, abs=0.1)


def test_a_new_name_is_a_shift_and_what_moves_every_week_is_not_unusual(yardstick: Yardstick) -> None:
    rows = five_weeks(yardstick)
    origin, back = yardstick.schema.category_names.index("origin"), (NOW - rows.hour) // WEEK
    rows.category[back == 0, origin] = "XYZ"
    rows.numeric[:, TEMP] = 50 + back % 3  # another temperature each week
    shifts = describe(counted(yardstick, rows), yardstick, NOW).shifts
    assert shifts[0].feature == "origin"
    assert shift_of(shifts, "temp").unusual is False


def test_too_few_rows_are_unknown(yardstick: Yardstick) -> None:
    for hours in ([], counted(yardstick, five_weeks(yardstick, 300))):
        drift = describe(hours, yardstick, NOW)
        assert {(one.month, one.unusual) for one in drift.shifts} == {(None, None)}


def test_later_hours_and_older_ones_are_not_looked_at(yardstick: Yardstick) -> None:
    hours = counted(yardstick, five_weeks(yardstick))
    far = [replace(hours[0], hour=NOW + 1), replace(hours[0], hour=NOW - 5 * WEEK)]
    assert describe([*hours, *far], yardstick, NOW) == describe(hours, yardstick, NOW)


def some_days(moved: float) -> list[np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    rng = np.random.default_rng(0)
    days = [rng.normal(size=(100, 2)).astype(np.float32) for _ in range(DAYS + DAYS_BEFORE)]
    for day in days[:DAYS]:
        day[:, 1] += moved
    return days


def test_rows_are_told_apart_by_what_moved() -> None:
    told = apart(some_days(2.0), NAMES)
    assert told.auc is not None
    assert told.low is not None
    assert told.low > 0.8
    assert told.by[0][0] == "moved"


def test_equal_weeks_are_not_told_apart() -> None:
    told = apart(some_days(0.0), NAMES)
    assert told.low is not None
    assert told.high is not None
    assert told.low < 0.5 < told.high + 0.05


def test_days_that_differ_by_their_own_weather_are_not_called_another_week() -> None:
    """Rows of one day share a value: a split by rows would tell them apart perfectly."""
    days = some_days(0.0)
    for weather, day in zip(np.random.default_rng(1).normal(size=len(days)), days, strict=True):
        day[:, 1] = weather
    told = apart(days, NAMES)
    assert told.low is not None
    assert told.low < 0.6


def test_too_few_days_say_why() -> None:
    told = apart(some_days(1.0)[:10], NAMES)
    assert (told.auc, told.low, told.by) == (None, None, ())
    assert "got 7 and 3" in told.why
