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

from contracts.features import CATEGORY_NAMES, HORIZON_HOURS, LATE_MINUTES, NUMERIC, NUMERIC_NAMES
from contracts.files import write_json
from contracts.params import Params
from contracts.tables import FEATURE_KEYS, FEATURE_TABLE, Column
from pipelines import rolling, tables
from pipelines.rolling import Expression, line, mean, minute

logger = logging.getLogger(__name__)

INPUT: Final = "data/ingested"
OUTPUT: Final = "data/features.parquet"
REPORT: Final = "reports/features.json"
MAX_WEATHER_AGE: Final = 3 * rolling.HOUR
_WEATHER_NOW: Final = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
_BOUNDS: Final = {f.name: Column(f.name, "float32", f.nullable, f.low, f.high) for f in NUMERIC}
_CHECKED: Final = tuple(_BOUNDS.get(column.name, column) for column in FEATURE_TABLE)
_HINT: Final = "mend the data in pipelines/ingest.py, or the bounds in contracts/features.py"


def main(root: Path, params: Params) -> None:  # noqa: ARG001 - a stage's signature; features have no choices
    """
    Raises:
        ContractViolation: a feature outside its contract.
        DataError: an ingested table is missing or unreadable.
    """
    names = ("flights", "weather", "planes")
    with connection() as database:
        inputs = {name: ibis.memtable(tables.read(root / INPUT / f"{name}.parquet")) for name in names}
        logger.info("Computing %d features", len(NUMERIC) + len(CATEGORY_NAMES))
        table = database.to_pyarrow(features(**inputs)).cast(tables.schema(FEATURE_TABLE))
    tables.check("features", table, _CHECKED, ["flight_id"], _HINT)
    tables.write(root / OUTPUT, table)
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
    flights = flights.mutate(cutoff=minute(flights["predicted_at"]))
    parts = (departures(flights), arrivals(flights), timetable(flights), aircraft(flights, planes))
    joined = flights.select(*(column.name for column in FEATURE_KEYS), *CATEGORY_NAMES)
    for part in (*parts, weather_now(flights, weather), weather_before(flights, weather)):
        joined = joined.left_join(part, "flight_id").drop("flight_id_right")
    numeric = {name: joined[name].cast("float32") for name in NUMERIC_NAMES}
    return joined.mutate(**numeric).select(*(c.name for c in FEATURE_TABLE)).order_by("predicted_at", "flight_id")


def departures(flights: Expression) -> Expression:
    """What departures by the cutoff tell, and the backlog: flights scheduled less departed, cancelled ones included."""
    nothing = ibis.null("int64")
    departed = flights.filter(flights["departed"].notnull())
    departed = departed.mutate(at=minute(departed["departed"]), delay=departed["dep_delay"], scheduled=nothing)
    planned = flights.mutate(at=minute(flights["scheduled_departure"]), delay=nothing, scheduled=ibis.literal(1, "int64"))
    columns = ["at", *rolling.KEYS, "delay", "scheduled"]
    events = departed.select(columns).union(planned.select(columns))
    table = line(events, flights, rolling.KEYS, ["delay", "scheduled"])
    features = {r.name: mean(table, "delay", r) for r in rolling.DEPARTURE_DELAYS}
    backlog = rolling.BACKLOG
    features[backlog.name] = rolling.count(table, "scheduled", backlog) - rolling.count(table, "delay", backlog)
    return _of_queries(table, features)


def arrivals(flights: Expression) -> Expression:
    """What landings by the cutoff tell."""
    landed = flights.filter(flights["landed"].notnull())
    landed = landed.mutate(at=minute(landed["landed"]), delay=landed["arr_delay"], is_late=landed["late"].cast("int64"))
    table = line(landed, flights, rolling.KEYS, ["delay", "is_late"])
    features = {r.name: mean(table, "delay", r) for r in rolling.ARRIVAL_DELAYS}
    features |= {r.name: mean(table, "is_late", r) for r in rolling.LATE_SHARES}
    return _of_queries(table, features)


def timetable(flights: Expression) -> Expression:
    """Known long before. New York's offset is whole hours, so its clock hours are UTC's, and the hour that the
    clock shows twice is two."""
    block = minute(flights["scheduled_arrival"]) - minute(flights["scheduled_departure"])
    hour = minute(flights["scheduled_departure"]) // rolling.HOUR
    table = flights.mutate(sched_block_minutes=block, hour=hour)
    same_hour = table.count().over(ibis.window(group_by=["origin", "hour"]))
    columns = ["flight_id", "sched_dep_minute", "day_of_week", "distance", "sched_block_minutes"]
    return table.select(*columns, origin_sched_departures_1h=same_hour)


def aircraft(flights: Expression, planes: Expression) -> Expression:
    """Age and seats; an aircraft built after the flight's year has no age."""
    table = flights.select("flight_id", "tailnum", "local_month").left_join(planes, "tailnum")
    age = table["local_month"].left(4).cast("int64") - table["year"]
    return table.select("flight_id", plane_age=(age >= 0).ifelse(age, ibis.null("int64")), plane_seats=table["seats"])


def weather_now(flights: Expression, weather: Expression) -> Expression:
    """The last observation at the origin by the cutoff, unless older than `MAX_WEATHER_AGE`."""
    observations = weather.mutate(at=minute(weather["observed"]))
    queries = flights.select("flight_id", "cutoff", place="origin")
    table = queries.asof_join(observations, queries["cutoff"] >= observations["at"], queries["place"] == weather["origin"])
    recent = table["cutoff"] - table["at"] <= MAX_WEATHER_AGE
    return table.select("flight_id", **{n: recent.ifelse(table[n], ibis.null("float64")) for n in _WEATHER_NOW})


def weather_before(flights: Expression, weather: Expression) -> Expression:
    """Precipitation before the cutoff. The source has hundredths of inches, which are summed as integers."""
    observations = weather.mutate(at=minute(weather["observed"]), hundredths=_hundredths(weather["precip"]))
    table = line(observations, flights, rolling.PRECIPITATION.by, ["hundredths"])
    precipitation = rolling.total(table, "hundredths", rolling.PRECIPITATION).cast("float64") / 100
    return _of_queries(table, {rolling.PRECIPITATION.name: precipitation})


def summary(table: tables.Table) -> dict[str, Any]:
    """Rows and labels by New York month, and the share of missing values by feature."""
    labels = table.select(["local_month", "late"]).group_by("local_month")
    months = labels.aggregate([([], "count_all"), ("late", "count"), ("late", "sum")]).sort_by("local_month").to_pylist()
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
            for month in months
        ],
        "missing_share": {name: round(table[name].null_count / table.num_rows, 6) for name in NUMERIC_NAMES},
    }


def _of_queries(table: Expression, features: dict[str, Expression]) -> Expression:
    """Events have served once the windows are computed; a row a flight is left."""
    computed = table.select("flight_id", **features)
    return computed.filter(computed["flight_id"].notnull())


def _hundredths(value: Expression) -> Expression:
    return (value * 100).round().cast("int64")
