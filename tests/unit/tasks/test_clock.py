"""Local clocks to UTC: against a search minute by minute, and at the edges of daylight saving time."""

import doctest
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from contracts.errors import DataError
from tasks.flights import clock

UTC = ZoneInfo("UTC")


def arrival(departure: str, hhmm: int, zone: str) -> str:
    found = clock.first_after(
        pd.Series([pd.Timestamp(departure)]), clock.minute_of_day(pd.Series([hhmm])), pd.Series([zone])
    )
    return f"{found.iloc[0]:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("departure", "hhmm", "zone", "expected"),
    [
        ("2013-07-04 12:00", 1000, "America/New_York", "2013-07-04 14:00"),
        ("2013-07-05 03:30", 45, "America/New_York", "2013-07-05 04:45"),  # over midnight
        ("2013-07-05 03:30", 2400, "America/New_York", "2013-07-05 04:00"),
        ("2013-07-04 14:00", 1000, "America/New_York", "2013-07-05 14:00"),  # the same minute is not after it
        ("2013-07-05 02:00", 2330, "America/Los_Angeles", "2013-07-05 06:30"),  # still the day before there
        ("2013-01-01 14:00", 1500, "Pacific/Honolulu", "2013-01-02 01:00"),
        # 2013-11-03: New York's clock shows 01:00 .. 01:59 twice, first at 05:00 UTC, then at 06:00.
        ("2013-11-03 03:00", 130, "America/New_York", "2013-11-03 05:30"),
        ("2013-11-03 05:40", 130, "America/New_York", "2013-11-03 06:30"),
        ("2013-11-03 06:40", 130, "America/New_York", "2013-11-04 06:30"),
        # 2013-03-10: it jumps from 02:00 to 03:00, at 07:00 UTC.
        ("2013-03-10 05:00", 230, "America/New_York", "2013-03-10 07:00"),
        ("2013-03-10 05:00", 310, "America/New_York", "2013-03-10 07:10"),
    ],
)
def test_first_after(departure: str, hhmm: int, zone: str, expected: str) -> None:
    assert arrival(departure, hhmm, zone) == expected


def test_first_after_equals_a_search_minute_by_minute() -> None:
    rng = np.random.default_rng(0)
    zones = ["America/New_York", "America/Phoenix", "America/Puerto_Rico", "Pacific/Honolulu", "America/Chicago"]
    days = ["2013-11-02", "2013-11-03", "2013-07-04", "2013-12-31"]  # no skipped hour, which no search would find
    rows = [(str(rng.choice(days)), int(rng.integers(1440)), int(rng.integers(1440))) for _ in range(100)]
    departure = pd.Series([pd.Timestamp(day) + pd.Timedelta(minutes=m) for day, m, _ in rows])
    minute = pd.Series([m for _, _, m in rows])
    zone = pd.Series([str(z) for z in rng.choice(zones, len(rows))])
    found = clock.first_after(departure, minute, zone)
    for at, wanted, name, got in zip(departure, minute, zone, found, strict=True):
        assert got.to_pydatetime() == _search(at.to_pydatetime(), int(wanted), ZoneInfo(name))


def _search(instant: datetime, minute: int, zone: ZoneInfo) -> datetime:
    for later in range(1, 3 * 1440):
        candidate = instant + timedelta(minutes=later)
        local = candidate.replace(tzinfo=UTC).astimezone(zone)
        if local.hour * 60 + local.minute == minute:
            return candidate
    raise AssertionError("a clock shows every minute within three days")


def test_absent_airports_have_a_zone_and_are_counted() -> None:
    airports = pd.DataFrame({"faa": ["IAH", "XYZ"], "tzone": ["America/Chicago", None]})
    zone, absent = clock.zones(pd.Series(["IAH", "SJU", "STT", "IAH"]), airports)
    assert zone.tolist() == ["America/Chicago", "America/Puerto_Rico", "America/St_Thomas", "America/Chicago"]
    assert absent == 2


def test_an_airport_without_a_zone_is_named() -> None:
    airports = pd.DataFrame({"faa": ["IAH", "XYZ"], "tzone": ["America/Chicago", None]})
    with pytest.raises(DataError, match=r"got none for ABC, XYZ; add them to ZONES_OF_ABSENT_AIRPORTS"):
        clock.zones(pd.Series(["XYZ", "IAH", "ABC", "ABC"]), airports)


def test_minutes_of_nothing_are_nothing_and_never_warn() -> None:
    # The garbage that pandas would meet differs from one allocation to the next.
    count = pd.Series(np.where(np.arange(50_000) % 2, np.nan, -7.0))
    for _ in range(20):
        found = clock.minutes(count)
        assert (found.isna() == count.isna()).all()
        assert set(found.dropna()) == {pd.Timedelta(minutes=-7)}


def test_the_example_is_true() -> None:
    assert doctest.testmod(clock) == doctest.TestResults(failed=0, attempted=4)
