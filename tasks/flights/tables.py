"""The flights' tables. Calendar columns (`local_month`, `sched_dep_minute`, `day_of_week`) are New York's and come
from the source's own local clock."""

from collections.abc import Mapping
from typing import Final

from contracts.schema import Window
from contracts.tables import Column, Table
from tasks.flights.schema import SCHEMA

_FLIGHTS: Final = Table(
    (
        Column("flight_id", "string"),  # local schedule, carrier, number, origin, destination
        Column("carrier", "string"),
        Column("flight", "int64", low=1, high=9_999),
        Column("tailnum", "string", nullable=True),
        Column("origin", "string"),
        Column("dest", "string"),
        Column("distance", "float64", low=1, high=12_000),
        Column("local_month", "string"),  # "2013-07"
        Column("sched_dep_minute", "int64", low=0, high=1439),
        Column("day_of_week", "int64", low=1, high=7),
        Column("scheduled_departure", "timestamp"),
        Column("scheduled_arrival", "timestamp"),
        Column("departed", "timestamp", nullable=True),  # null: cancelled
        Column("landed", "timestamp", nullable=True),  # null: cancelled or diverted, never labelled
        Column("dep_delay", "int64", nullable=True, low=-120, high=2_880),
        Column("arr_delay", "int64", nullable=True, low=-180, high=2_880),
    ),
    key=("flight_id",),
)
# What an observation measures: each value with the bounds of the feature that is its last one.
OBSERVED: Final = tuple(
    Column(feature.source.value, "float64", True, feature.low, feature.high)
    for feature in SCHEMA.numeric
    if isinstance(feature.source, Window) and (feature.source.events, feature.source.statistic) == ("weather", "last")
)
_WEATHER: Final = Table(
    (Column("origin", "string"), Column("observed", "timestamp"), *OBSERVED),
    key=("origin", "observed"),
)
_PLANES: Final = Table(
    (
        Column("tailnum", "string"),
        Column("year", "int64", True, 1900, 2100),
        Column("seats", "int64", True, 1, 900),
    ),
    key=("tailnum",),
)
TABLES: Final[Mapping[str, Table]] = {"flights": _FLIGHTS, "weather": _WEATHER, "planes": _PLANES}
