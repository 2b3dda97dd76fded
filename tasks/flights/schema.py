"""Flights out of New York: what the model may see, in which order, in which unit, within which bounds.

All of it is known two hours before scheduled departure. A flight has *departed* or *landed* for a feature only when
that happened at or before this cutoff. Streams of events and columns are made in tasks/flights/windows.py.
"""

from typing import Final

from contracts.schema import Calendar, CategoricalFeature, NumericFeature, QueryColumn, Ranges, Schema, Source, Window
from tasks.flights.words import SUBJECT, TARGET

HOUR: Final = 60  # minutes
DAY: Final = 24 * HOUR
NEW_YORK: Final = "America/New_York"
HORIZON_MINUTES: Final = 2 * HOUR


def _departure_delay(by: tuple[str, ...], minutes: int) -> Window:
    """Mean of `dep_delay` over flights by when they departed."""
    return Window("departures", "dep_delay", "mean", minutes, by)


def _arrival_delay(by: tuple[str, ...], minutes: int) -> Window:
    return Window("landings", "arr_delay", "mean", minutes, by)


def _late_share(by: tuple[str, ...], minutes: int) -> Window:
    return Window("landings", "was_late", "mean", minutes, by)


def _last_weather(value: str) -> Window:
    """The last observation at the origin, unless older than 3 hours: one of just 3 hours ago is in the span."""
    return Window("weather", value, "last", 3 * HOUR + 1, ("origin",))


def _delay(name: str, what: str, source: Source) -> NumericFeature:
    return NumericFeature(name, "minutes", f"mean {what}", -180, 2880, source)


def _share(name: str, what: str, source: Source) -> NumericFeature:
    return NumericFeature(name, "share", f"share of late arrivals among {what}", 0, 1, source)


def _weather(
    name: str, unit: str, what: str, low: float, high: float, source: Source, example: float | None = None
) -> NumericFeature:
    return NumericFeature(name, unit, what, low, high, source, example=example)


def _known(name: str, unit: str, what: str, low: float, high: float, example: float) -> NumericFeature:
    """From the timetable, for every flight."""
    return NumericFeature(name, unit, what, low, high, QueryColumn(name), nullable=False, example=example)


_NUMERIC: Final = (
    _known("sched_dep_minute", "minute of day", "scheduled departure, New York time", 0, 1439, example=1065),
    _known("day_of_week", "1 = Monday", "of the scheduled departure, New York time", 1, 7, example=5),
    _known("distance", "miles", "between the airports", 1, 12_000, example=2475),
    _known("sched_block_minutes", "minutes", "scheduled arrival less scheduled departure", 1, 1_440, example=365),
    _known("origin_sched_departures_1h", "flights", "scheduled out of the origin in the same hour", 0, 500, example=20),
    NumericFeature("plane_age", "years", "since the aircraft was built", 0, 100, QueryColumn("plane_age")),
    NumericFeature("plane_seats", "seats", "of the aircraft", 1, 900, QueryColumn("plane_seats")),
    _weather("temp", "°F", "at the origin, last observation", -60, 140, _last_weather("temp"), example=75.2),
    _weather("dewp", "°F", "dew point at the origin", -80, 110, _last_weather("dewp")),
    _weather("humid", "%", "relative humidity at the origin", 0, 100, _last_weather("humid")),
    _weather("wind_dir", "degrees", "where the wind comes from", 0, 360, _last_weather("wind_dir")),
    _weather("wind_speed", "mph", "at the origin", 0, 250, _last_weather("wind_speed"), example=9.2),
    _weather("wind_gust", "mph", "at the origin; missing when there is none", 0, 300, _last_weather("wind_gust")),
    _weather("precip", "inches", "in the hour of the last observation", 0, 20, _last_weather("precip")),
    _weather(
        "precip_6h",
        "inches",
        "sum over the last 6 hours",
        0,
        60,
        # The source has hundredths of inches, which are summed as integers.
        Window("weather", "precip_hundredths", "sum", 6 * HOUR, ("origin",), divisor=100),
    ),
    _weather("pressure", "millibar", "at sea level", 850, 1_100, _last_weather("pressure")),
    _weather("visib", "miles", "at the origin, capped at 10", 0, 100, _last_weather("visib")),
    _delay(
        "origin_dep_delay_1h",
        "delay of departures from the origin in the last hour",
        _departure_delay(("origin",), HOUR),
    ),
    _delay(
        "origin_dep_delay_3h",
        "delay of departures from the origin in the last 3 hours",
        _departure_delay(("origin",), 3 * HOUR),
    ),
    NumericFeature(
        "origin_backlog_3h",
        "flights",
        "scheduled less departed, origin, last 3 hours",
        -500,
        500,
        # A flight counts one when it is scheduled and minus one when it departs; a cancelled one never departs.
        Window("queue", "waiting", "sum", 3 * HOUR, ("origin",), empty=0),
        nullable=False,
        example=0,
    ),
    _share(
        "origin_late_share_24h",
        "flights from the origin that landed in the last 24 hours",
        _late_share(("origin",), DAY),
    ),
    _delay(
        "carrier_dep_delay_3h",
        "delay of the carrier's departures in the last 3 hours",
        _departure_delay(("carrier",), 3 * HOUR),
    ),
    _delay(
        "carrier_origin_dep_delay_6h",
        "delay of the carrier's departures from the origin, last 6 hours",
        _departure_delay(("carrier", "origin"), 6 * HOUR),
    ),
    _delay(
        "dest_arr_delay_6h",
        "arrival delay of flights that landed at the destination, last 6 hours",
        _arrival_delay(("dest",), 6 * HOUR),
    ),
    _share(
        "dest_late_share_24h",
        "flights that landed at the destination in the last 24 hours",
        _late_share(("dest",), DAY),
    ),
    _delay("system_dep_delay_1h", "delay of all departures in the last hour", _departure_delay((), HOUR)),
    _delay(
        "system_arr_delay_3h",
        "arrival delay of all flights that landed in the last 3 hours",
        _arrival_delay((), 3 * HOUR),
    ),
    _delay(
        "tail_dep_delay_24h",
        "delay of this aircraft's departures in the last 24 hours",
        _departure_delay(("tailnum",), DAY),
    ),
    _share(
        "flight_late_share_28d",
        "flights of this carrier and number that landed in the last 28 days",
        _late_share(("carrier", "flight"), 28 * DAY),
    ),
    _share(
        "route_late_share_28d",
        "flights of this route that landed in the last 28 days",
        _late_share(("origin", "dest"), 28 * DAY),
    ),
    _share(
        "carrier_late_share_28d",
        "flights of this carrier that landed in the last 28 days",
        _late_share(("carrier",), 28 * DAY),
    ),
)

SCHEMA: Final = Schema(
    name="flight-delay",
    title="Flights out of New York",
    subject=SUBJECT,
    target=TARGET,
    calendar=Calendar(NEW_YORK, HORIZON_MINUTES, label_delay_minutes=5 * HOUR),
    numeric=_NUMERIC,
    category=(
        CategoricalFeature("carrier", "IATA code", "operating carrier", QueryColumn("carrier"), example="UA"),
        CategoricalFeature("origin", "IATA code", "airport of departure", QueryColumn("origin"), example="JFK"),
        CategoricalFeature("dest", "IATA code", "airport of arrival", QueryColumn("dest"), example="LAX"),
    ),
    slices=(
        "origin",
        "carrier",
        Ranges("sched_dep_minute", (9 * HOUR, 13 * HOUR, 17 * HOUR)),
        Ranges("distance", (500, 1_000, 2_000)),
        Ranges("wind_speed", (10, 20)),
        Ranges("precip_6h", (0.01, 0.25)),
    ),
)
