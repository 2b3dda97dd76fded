"""Local clocks to UTC. The machine's time zone plays no part: zones are named, instants are UTC without a zone."""

from typing import Final

import numpy as np
import pandas as pd

from contracts.errors import DataError
from tasks.zones import local

NEW_YORK: Final = "America/New_York"
# Destinations that airports.csv lacks. Atlantic time, no daylight saving: IANA links St_Thomas to Puerto_Rico.
ZONES_OF_ABSENT_AIRPORTS: Final = {
    "BQN": "America/Puerto_Rico",  # Aguadilla
    "PSE": "America/Puerto_Rico",  # Ponce
    "SJU": "America/Puerto_Rico",  # San Juan
    "STT": "America/St_Thomas",
}


def minute_of_day(hhmm: "pd.Series[int]") -> "pd.Series[int]":
    """Minutes since local midnight of clock readings written as the integer HHMM; 2400 is 1440."""
    return hhmm // 100 * 60 + hhmm % 100


def minutes(count: "pd.Series[float]") -> "pd.Series[pd.Timedelta]":
    """Whole minutes as durations; NaN is NaT. (`pd.to_timedelta` of floats computes on uninitialised memory where
    they are NaN, and now and then warns of it.)"""
    return pd.to_timedelta(count.fillna(0).astype("int64"), unit="min").where(count.notna())


def zones(dest: "pd.Series[str]", airports: pd.DataFrame) -> tuple["pd.Series[str]", int]:
    """IANA zone of each destination, and how many came from `ZONES_OF_ABSENT_AIRPORTS`.

    Raises:
        DataError: a destination has no zone in either table.
    """
    known = airports.dropna(subset=["tzone"]).set_index("faa")["tzone"]
    zone = dest.map(known)
    absent = zone.isna()
    zone = zone.fillna(dest.map(ZONES_OF_ABSENT_AIRPORTS))
    if zone.isna().any():
        names = ", ".join(sorted(set(dest[zone.isna()])))
        raise DataError(
            f"`tzone` must be known for every destination, got none for {names}; "
            "add them to ZONES_OF_ABSENT_AIRPORTS in tasks/flights/clock.py"
        )
    return zone, int(absent.sum())


def first_after(
    instant: "pd.Series[pd.Timestamp]", minute: "pd.Series[int]", zone: "pd.Series[str]"
) -> "pd.Series[pd.Timestamp]":
    """The first UTC instant after `instant` at which the clock of `zone` shows `minute` of day.

    An hour that the clock shows twice counts twice, so its first pass is taken when that is still to come. An hour
    that the clock skips is read as the moment of the skip.

    A flight that leaves New York at 8:00 p.m. (midnight UTC) and is due at 23:30 in Los Angeles; one that is due at
    1:30 in the night when New York's clock shows that twice, at 5:30 and 6:30 UTC:

    >>> left = pd.Series(pd.to_datetime(["2013-07-05 00:00", "2013-11-03 03:00"]))
    >>> due = minute_of_day(pd.Series([2330, 130]))
    >>> zone = pd.Series(["America/Los_Angeles", "America/New_York"])
    >>> first_after(left, due, zone).astype(str).tolist()
    ['2013-07-05 06:30:00', '2013-11-03 05:30:00']
    """
    parts = [_first_after(instant[rows], minute[rows], str(name)) for name, rows in zone.groupby(zone).groups.items()]
    return pd.concat(parts).reindex(instant.index)


def _first_after(instant: "pd.Series[pd.Timestamp]", minute: "pd.Series[int]", zone: str) -> "pd.Series[pd.Timestamp]":
    today = local(instant, zone).dt.normalize() + pd.to_timedelta(minute, unit="min")
    candidates = ((0, True), (0, False), (1, True))  # days later, first pass of an hour shown twice
    found = pd.Series(pd.NaT, index=instant.index, dtype="datetime64[ns]")
    for days, first_pass in candidates:
        candidate = _utc(today + pd.Timedelta(days=days), zone, first_pass)
        found = found.where(found.notna(), candidate.where(candidate > instant))
    return found


def _utc(clock: "pd.Series[pd.Timestamp]", zone: str, first_pass: bool) -> "pd.Series[pd.Timestamp]":
    """`first_pass` chooses between the two instants of an hour that the clock shows twice (True: daylight saving)."""
    ambiguous = np.full(len(clock), first_pass)
    placed = clock.dt.tz_localize(zone, ambiguous=ambiguous, nonexistent="shift_forward")
    return placed.dt.tz_convert("UTC").dt.tz_localize(None)
