"""Stage `featurize`: the features of contracts/features.py, one definition each, as Ibis expressions on DuckDB.

Every flight sees only what was known at its cutoff, `HORIZON_HOURS` before scheduled departure: departures that had
departed, arrivals that had landed, weather that had been observed, and the timetable.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow.compute as pc

from contracts.features import CATEGORY_NAMES, HORIZON_HOURS, LATE_MINUTES, MAX_CATEGORY_LENGTH, NUMERIC, NUMERIC_NAMES
from contracts.files import write_json
from contracts.params import Params
from contracts.tables import FEATURE_KEYS, FEATURE_TABLE, Column
from pipelines import parquet, rolling
from pipelines.rolling import Expression, line, mean, minute, of_queries

logger = logging.getLogger(__name__)

INPUT: Final = "data/ingested"
OUTPUT: Final = "data/features.parquet"
REPORT: Final = "reports/features.json"
MAX_WEATHER_AGE: Final = 3 * rolling.HOUR
_WEATHER_NOW: Final = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
_BOUNDS: Final = {f.name: Column(f.name, "float32", f.nullable, f.low, f.high) for f in NUMERIC}
_CHECKED: Final = tuple(_BOUNDS.get(column.name, column) for column in FEATURE_TABLE)
_HINT: Final = "mend the data in pipelines/stages/ingest.py, or the bounds in contracts/features.py"


def main(root: Path, params: Params) -> None:  # noqa: ARG001 - a stage's signature; features have no choices
    """
    Raises:
        ContractViolation: a feature outside its contract.
        DataError: an ingested table is missing or unreadable.
    """
    names = ("flights", "weather", "planes")
    with connection() as database:
        inputs = {name: ibis.memtable(parquet.read(root / INPUT / f"{name}.parquet")) for name in names}
        logger.info("Computing %d features", len(NUMERIC) + len(CATEGORY_NAMES))
        table = database.to_pyarrow(features(**inputs)).cast(parquet.schema(FEATURE_TABLE))
    check(table)
    parquet.write(root / OUTPUT, table)
    write_json(root / REPORT, summary(table))
    logger.info("Features: %d rows, %d of them labelled", table.num_rows, table.num_rows - table["late"].null_count)


@contextmanager
def connection() -> Iterator[Any]:
    """DuckDB with bounded memory and threads, in UTC, that loads nothing from the network."""
    with tempfile.TemporaryDirectory() as spill:
        database = ibis.duckdb.connect(
            memory_limit="1GB", threads=2, temp_directory=spill, autoinstall_known_extensions=False
        )
        database.raw_sql("SET TimeZone = 'UTC'")
        try:
            yield database
        finally:
            database.disconnect()


def features(
    flights: Expression, weather: Expression, planes: Expression, horizon_hours: int = HORIZON_HOURS
) -> Expression:
    """The whole feature table, in the order of `contracts.tables.FEATURE_TABLE`, sorted by cutoff and flight.

    Args:
        flights, weather, planes: tables as in contracts/tables.py.
        horizon_hours: from cutoff to scheduled departure. Another one than the contract's is for tests.
    """
    predicted_at = flights["scheduled_departure"] - ibis.interval(hours=horizon_hours)
    flights = flights.mutate(predicted_at=predicted_at, late=flights["arr_delay"] >= LATE_MINUTES)
    # A short name for a flight inside this computation: strings are dear to carry through every window.
    row = ibis.row_number().over(order_by=["scheduled_departure", "flight_id"])
    flights = flights.mutate(cutoff=minute(flights["predicted_at"]), row=row)
    parts = (
        timetable(flights),
        aircraft(flights, planes),
        departures(flights),
        backlog(flights),
        arrivals(flights),
        weather_now(flights, weather),
        weather_before(flights, weather),
    )
    joined = flights.select("row", *(column.name for column in FEATURE_KEYS), *CATEGORY_NAMES)
    for part in parts:
        joined = joined.inner_join(part, "row")
    numeric = {name: joined[name].cast("float32") for name in NUMERIC_NAMES}
    return joined.mutate(**numeric).select(*(c.name for c in FEATURE_TABLE)).order_by("predicted_at", "flight_id")


def departures(flights: Expression) -> Expression:
    """What departures by the cutoff tell."""
    departed = flights.filter(flights["departed"].notnull())
    departed = departed.mutate(at=minute(departed["departed"]))
    table = line(departed, flights, ["carrier", "tailnum", "origin"], ["dep_delay"])
    return of_queries(table, {r.name: mean(table, "dep_delay", r) for r in rolling.DEPARTURE_DELAYS})


def backlog(flights: Expression) -> Expression:
    """Flights scheduled less flights departed; a cancelled one is scheduled and never departs."""
    departed = flights.filter(flights["departed"].notnull())
    minus = departed.select("origin", at=minute(departed["departed"]), waiting=ibis.literal(-1, "int64"))
    plus = flights.select("origin", at=minute(flights["scheduled_departure"]), waiting=ibis.literal(1, "int64"))
    table = line(plus.union(minus), flights, ["origin"], ["waiting"])
    waiting = rolling.total(table, "waiting", rolling.BACKLOG).fill_null(0)
    return of_queries(table, {rolling.BACKLOG.name: waiting})


def arrivals(flights: Expression) -> Expression:
    """What landings by the cutoff tell."""
    landed = flights.filter(flights["landed"].notnull())
    landed = landed.mutate(at=minute(landed["landed"]), was_late=landed["late"].cast("int64"))
    table = line(landed, flights, ["carrier", "flight", "origin", "dest"], ["arr_delay", "was_late"])
    delays = {r.name: mean(table, "arr_delay", r) for r in rolling.ARRIVAL_DELAYS}
    return of_queries(table, delays | {r.name: mean(table, "was_late", r) for r in rolling.LATE_SHARES})


def timetable(flights: Expression) -> Expression:
    """Known long before. New York's offset is whole hours, so its clock hours are UTC's, and the hour that the
    clock shows twice is two."""
    block = minute(flights["scheduled_arrival"]) - minute(flights["scheduled_departure"])
    hour = minute(flights["scheduled_departure"]) // rolling.HOUR
    table = flights.mutate(sched_block_minutes=block, hour=hour)
    same_hour = table.count().over(ibis.window(group_by=["origin", "hour"]))
    columns = ["row", "sched_dep_minute", "day_of_week", "distance", "sched_block_minutes"]
    return table.select(*columns, origin_sched_departures_1h=same_hour)


def aircraft(flights: Expression, planes: Expression) -> Expression:
    """Age and seats; an aircraft built after the flight's year has no age."""
    table = flights.select("row", "tailnum", "local_month").left_join(planes, "tailnum")
    age = table["local_month"].left(4).cast("int64") - table["year"]
    return table.select("row", plane_age=(age >= 0).ifelse(age, ibis.null("int64")), plane_seats=table["seats"])


def weather_now(flights: Expression, weather: Expression) -> Expression:
    """The last observation at the origin by the cutoff, unless older than `MAX_WEATHER_AGE`."""
    observations = weather.mutate(at=minute(weather["observed"]))
    queries = flights.select("row", "cutoff", place="origin")
    table = queries.asof_join(
        observations, queries["cutoff"] >= observations["at"], queries["place"] == weather["origin"]
    )
    recent = table["cutoff"] - table["at"] <= MAX_WEATHER_AGE
    return table.select("row", **{n: recent.ifelse(table[n], ibis.null("float64")) for n in _WEATHER_NOW})


def weather_before(flights: Expression, weather: Expression) -> Expression:
    """Precipitation before the cutoff. The source has hundredths of inches, which are summed as integers."""
    observations = weather.mutate(at=minute(weather["observed"]), hundredths=_hundredths(weather["precip"]))
    table = line(observations, flights, rolling.PRECIPITATION.by, ["hundredths"])
    precipitation = rolling.total(table, "hundredths", rolling.PRECIPITATION).cast("float64") / 100
    return of_queries(table, {rolling.PRECIPITATION.name: precipitation})


def check(table: parquet.Table) -> None:
    """The output against both contracts: its columns, and the bounds of every feature.

    Raises:
        ContractViolation: names feature, number of rows and bounds.
    """
    parquet.check("features", table, _CHECKED, ["flight_id"], _HINT)
    for name in CATEGORY_NAMES:
        too_long = pc.sum(pc.greater(pc.utf8_length(table[name]), MAX_CATEGORY_LENGTH)).as_py()
        if too_long:
            rule = f"of at most {MAX_CATEGORY_LENGTH} characters"
            raise parquet.violation("features", name, rule, f"{too_long} rows with more", _HINT)


def summary(table: parquet.Table) -> dict[str, Any]:
    """Rows and labels by New York month, and the share of missing values by feature."""
    counts = table.group_by("local_month").aggregate([([], "count_all"), ("late", "count"), ("late", "sum")])
    return {
        "rows": table.num_rows,
        "labelled": table.num_rows - table["late"].null_count,
        "months": [
            {
                "month": month["local_month"],
                "rows": month["count_all"],
                "labelled": month["late_count"],
                "late_share": round(month["late_sum"] / month["late_count"], 6) if month["late_count"] else None,
            }
            for month in counts.sort_by("local_month").to_pylist()
        ],
        "missing_share": {name: round(table[name].null_count / table.num_rows, 6) for name in NUMERIC_NAMES},
    }


def _hundredths(value: Expression) -> Expression:
    return (value * 100).round().cast("int64")
