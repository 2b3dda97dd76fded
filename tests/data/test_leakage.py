"""No feature knows the future: an oracle in plain numpy, that is shown only what existed at a flight's cutoff,
computes all features of 200 random flights again, to the bit. Tables that leak turn the comparison red."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray

from contracts.workspace import Workspace
from pipelines import feature_windows, parquet
from tasks.flights import windows
from tasks.flights.schema import SCHEMA

Columns = dict[str, NDArray[Any]]
Expected = dict[str, dict[str, float]]  # flight_id -> feature -> value, NaN is missing
HOUR = np.timedelta64(60, "m")
DAY = 24 * HOUR
ROWS = 200
ARRIVALS = {
    "origin_late_share_24h",
    "dest_arr_delay_6h",
    "dest_late_share_24h",
    "system_arr_delay_3h",
    "flight_late_share_28d",
    "route_late_share_28d",
    "carrier_late_share_28d",
}
DEPARTURES = {
    "origin_dep_delay_1h",
    "origin_dep_delay_3h",
    "origin_backlog_3h",
    "carrier_dep_delay_3h",
    "carrier_origin_dep_delay_6h",
    "system_dep_delay_1h",
    "tail_dep_delay_24h",
}
NOW = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
WEATHER = {*NOW, "precip_6h"}


def columns(table: Any) -> Columns:
    """Columns as arrays; instants in minutes, missing as NaT, NaN or None."""
    arrays = {name: table[name].to_pandas().to_numpy() for name in table.column_names}
    return {n: a.astype("datetime64[m]") if a.dtype.kind == "M" else a for n, a in arrays.items()}


def only(table: Columns, rows: NDArray[np.bool_]) -> Columns:
    return {name: values[rows] for name, values in table.items()}


@dataclass(frozen=True)
class World:
    flights: Columns
    weather: Columns
    planes: Columns

    @classmethod
    def read(cls, workspace: Workspace) -> "World":
        return cls(
            *(
                columns(parquet.read(workspace.ingested / f"{name}.parquet"))
                for name in ("flights", "weather", "planes")
            )
        )


@dataclass(frozen=True)
class Known:
    """What existed at `cutoff`, and the timetable, which holds nothing but the schedule."""

    departures: Columns
    arrivals: Columns
    weather: Columns
    timetable: Columns

    @classmethod
    def at(cls, cutoff: np.datetime64, world: World) -> "Known":
        f, w = world.flights, world.weather
        scheduled = {n: f[n] for n in ("origin", "scheduled_departure")}
        departures = only({n: f[n] for n in f if n not in {"landed", "arr_delay"}}, f["departed"] <= cutoff)
        return cls(departures, only(f, f["landed"] <= cutoff), only(w, w["observed"] <= cutoff), scheduled)


def mean(values: Iterable[float]) -> float:
    numbers = [int(v) for v in values]
    return sum(numbers) / len(numbers) if numbers else np.nan


def recompute(flight: dict[str, Any], world: World) -> dict[str, float]:
    """All features of one flight; NaN is missing."""
    departure = flight["scheduled_departure"]
    cutoff = departure - 2 * HOUR
    known = Known.at(cutoff, world)

    def departed(window: np.timedelta64, *by: str) -> Columns:
        return within(known.departures, "departed", window, by)

    def landed(window: np.timedelta64, *by: str) -> Columns:
        return within(known.arrivals, "landed", window, by)

    def within(table: Columns, clock: str, window: np.timedelta64, by: tuple[str, ...]) -> Columns:
        rows = (table[clock] <= cutoff) & (table[clock] > cutoff - window)
        for name in by:
            rows &= (table[name] == flight[name]) if flight[name] is not None else False
        return only(table, rows)

    def late_share(rows: Columns) -> float:
        return mean(rows["arr_delay"] >= 15)

    queue = within(known.timetable, "scheduled_departure", 3 * HOUR, ("origin",))
    hour = departure.astype("datetime64[h]")
    same_hour = known.timetable["scheduled_departure"].astype("datetime64[h]") == hour
    plane = only(world.planes, world.planes["tailnum"] == flight["tailnum"])
    age = int(flight["local_month"][:4]) - plane["year"][0] if len(plane["year"]) else np.nan
    return {
        "sched_dep_minute": flight["sched_dep_minute"],
        "day_of_week": flight["day_of_week"],
        "distance": flight["distance"],
        "sched_block_minutes": (flight["scheduled_arrival"] - departure).astype(int),
        "origin_sched_departures_1h": (same_hour & (known.timetable["origin"] == flight["origin"])).sum(),
        "plane_age": age if age >= 0 else np.nan,
        "plane_seats": plane["seats"][0] if len(plane["seats"]) else np.nan,
        **observed(known.weather, flight["origin"], cutoff),
        "origin_dep_delay_1h": mean(departed(HOUR, "origin")["dep_delay"]),
        "origin_dep_delay_3h": mean(departed(3 * HOUR, "origin")["dep_delay"]),
        "origin_backlog_3h": len(queue["origin"]) - len(departed(3 * HOUR, "origin")["origin"]),
        "origin_late_share_24h": late_share(landed(DAY, "origin")),
        "carrier_dep_delay_3h": mean(departed(3 * HOUR, "carrier")["dep_delay"]),
        "carrier_origin_dep_delay_6h": mean(departed(6 * HOUR, "carrier", "origin")["dep_delay"]),
        "dest_arr_delay_6h": mean(landed(6 * HOUR, "dest")["arr_delay"]),
        "dest_late_share_24h": late_share(landed(DAY, "dest")),
        "system_dep_delay_1h": mean(departed(HOUR)["dep_delay"]),
        "system_arr_delay_3h": mean(landed(3 * HOUR)["arr_delay"]),
        "tail_dep_delay_24h": mean(departed(DAY, "tailnum")["dep_delay"]),
        "flight_late_share_28d": late_share(landed(28 * DAY, "carrier", "flight")),
        "route_late_share_28d": late_share(landed(28 * DAY, "origin", "dest")),
        "carrier_late_share_28d": late_share(landed(28 * DAY, "carrier")),
    }


def observed(weather: Columns, origin: str, cutoff: np.datetime64) -> dict[str, float]:
    """Weather features from the observations that existed."""
    here = only(weather, weather["origin"] == origin)
    recent = only(here, here["observed"] >= cutoff - 3 * HOUR)
    values = dict.fromkeys(NOW, np.nan)
    if len(recent["observed"]):
        last = recent["observed"].argmax()
        values = {name: recent[name][last] for name in NOW}
    rain = here["precip"][here["observed"] > cutoff - 6 * HOUR]
    hundredths = [round(float(inches) * 100) for inches in rain if not np.isnan(inches)]
    return {**values, "precip_6h": sum(hundredths) / 100 if hundredths else np.nan}


def differing(features: Any, expected: Expected) -> set[str]:
    """Names of features that differ from the oracle's in one bit or more."""
    row_of = {name: row for row, name in enumerate(features["row_id"].to_pylist())}
    rows = [row_of[flight_id] for flight_id in expected]
    different = set()
    for name in SCHEMA.numeric_names:
        got = features[name].to_pandas().to_numpy()[rows]
        wanted = np.array([values[name] for values in expected.values()]).astype(np.float32)
        assert got.dtype == np.float32
        same = (got.view(np.uint32) == wanted.view(np.uint32)) | (np.isnan(got) & np.isnan(wanted))
        if not same.all():
            different.add(name)
    return different


def compute(world: dict[str, Any], later: timedelta) -> Any:
    """Features whose cutoff is `later` than it should be."""
    tables = {name: ibis.memtable(table) for name, table in world.items()}
    queries = windows.queries(tables)
    queries = queries.mutate(predicted_at=queries["predicted_at"] + ibis.interval(later))
    with feature_windows.connection() as database:
        return feature_windows.compute(database, SCHEMA, queries, windows.events(tables))


@pytest.fixture(scope="module")
def expected(weeks: Workspace) -> Expected:
    """The oracle's features by flight. Uniform over the weeks, the first days included, where windows are empty."""
    world = World.read(weeks)
    n = len(world.flights["flight_id"])
    rows = np.random.default_rng(20130704).choice(n, ROWS, replace=False)
    flights = [{name: values[row] for name, values in world.flights.items()} for row in rows]
    return {flight["flight_id"]: recompute(flight, world) for flight in flights}


def test_every_feature_equals_what_was_known_at_its_cutoff(weeks: Workspace, expected: Expected) -> None:
    assert len(expected) == ROWS
    assert differing(parquet.read(weeks.features), expected) == set()


def test_the_comparison_sees_values_in_every_feature(expected: Expected) -> None:
    """A feature that is always missing, or always the same, would agree with anything."""
    for name in SCHEMA.numeric_names:
        assert len({values[name] for values in expected.values() if not np.isnan(values[name])}) > 5, name


def replaced(table: Any, column: str, values: Any) -> Any:
    return table.set_column(table.column_names.index(column), column, values)


def known_when_scheduled(table: Any, column: str) -> Any:
    """Flights whose `column` counts from the time of scheduled departure on, as a join by schedule would have it."""
    return replaced(table, column, pc.if_else(table[column].is_valid(), table["scheduled_departure"], None))


def known_earlier(table: Any, column: str, by: timedelta) -> Any:
    return replaced(table, column, pc.subtract(table[column], by))


NO_TIME = timedelta()
LEAKS: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], timedelta, set[str]]] = {
    "arrivals by schedule": (
        lambda t: {**t, "flights": known_when_scheduled(t["flights"], "landed")},
        NO_TIME,
        ARRIVALS,
    ),
    "departures by schedule": (
        lambda t: {**t, "flights": known_when_scheduled(t["flights"], "departed")},
        NO_TIME,
        DEPARTURES,
    ),
    "weather an hour early": (
        lambda t: {**t, "weather": known_earlier(t["weather"], "observed", timedelta(hours=1))},
        NO_TIME,
        WEATHER,
    ),
    "landings a minute early": (
        lambda t: {**t, "flights": known_earlier(t["flights"], "landed", timedelta(minutes=1))},
        NO_TIME,
        {"system_arr_delay_3h", "carrier_late_share_28d"},
    ),
    "no horizon": (lambda t: t, timedelta(hours=2), ARRIVALS | DEPARTURES | WEATHER),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leaking_feature_turns_the_comparison_red(leak: str, weeks: Workspace, expected: Expected) -> None:
    change, later, leaking = LEAKS[leak]
    names = ("flights", "weather", "planes")
    true = {name: parquet.read(weeks.ingested / f"{name}.parquet") for name in names}
    different = differing(compute(change(true), later), expected)
    assert different >= leaking
    assert different <= ARRIVALS | DEPARTURES | WEATHER
