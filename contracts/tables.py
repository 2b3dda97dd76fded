"""The tables between the stages: their columns, types and bounds, checked by `validate` and `featurize`.

All instants are UTC without a zone (Parquet TIMESTAMP), so no session's time zone can move them. Calendar
columns (`local_month`, `sched_dep_minute`, `day_of_week`) are New York's and come from the source's own
local clock.
"""

from dataclasses import dataclass
from typing import Final, Literal

from contracts.features import CATEGORY_NAMES, NUMERIC_NAMES

Dtype = Literal["string", "int64", "float64", "float32", "boolean", "timestamp"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. `low` and `high` are inclusive; None is unbounded."""

    name: str
    dtype: Dtype
    nullable: bool = False
    low: float | None = None
    high: float | None = None


FLIGHTS: Final[tuple[Column, ...]] = (
    Column("flight_id", "string"),  # unique: local schedule, carrier, number, origin, destination
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
)
WEATHER: Final[tuple[Column, ...]] = (
    Column("origin", "string"),
    Column("observed", "timestamp"),
    Column("temp", "float64", True, -60, 140),
    Column("dewp", "float64", True, -80, 110),
    Column("humid", "float64", True, 0, 100),
    Column("wind_dir", "float64", True, 0, 360),
    Column("wind_speed", "float64", True, 0, 250),
    Column("wind_gust", "float64", True, 0, 300),
    Column("precip", "float64", True, 0, 20),
    Column("pressure", "float64", True, 850, 1_100),
    Column("visib", "float64", True, 0, 100),
)
PLANES: Final[tuple[Column, ...]] = (
    Column("tailnum", "string"),
    Column("year", "int64", True, 1900, 2100),
    Column("seats", "int64", True, 1, 900),
)
# What `featurize` adds beside the features, for splitting, replaying and labelling; never a model input.
FEATURE_KEYS: Final[tuple[Column, ...]] = (
    Column("flight_id", "string"),
    Column("local_month", "string"),
    Column("scheduled_departure", "timestamp"),
    Column("predicted_at", "timestamp"),  # the cutoff: HORIZON_HOURS before scheduled departure
    Column("landed", "timestamp", nullable=True),
    Column("late", "boolean", nullable=True),  # null: never labelled
)
FEATURE_TABLE: Final[tuple[Column, ...]] = (
    *FEATURE_KEYS,
    *(Column(name, "float32", nullable=True) for name in NUMERIC_NAMES),
    *(Column(name, "string") for name in CATEGORY_NAMES),
)
TABLES: Final[dict[str, tuple[Column, ...]]] = {"flights": FLIGHTS, "weather": WEATHER, "planes": PLANES}
