"""The feature contract: what the model may see, in which order, in which unit, within which bounds.

It stands once, here. The training set, the ONNX graph's inputs, the service's requests and the drift
report are all checked against it, and `SCHEMA_HASH` travels in every artifact.

All of it is known two hours before scheduled departure (`HORIZON_HOURS`). A flight has *departed* or
*landed* for a feature only when that happened at or before this cutoff.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ContractViolation

MODEL_NAME: Final = "flight-delay"
HORIZON_HOURS: Final = 2
LATE_MINUTES: Final = 15  # US DOT: late is 15 minutes or more after scheduled arrival

Numeric = NDArray[np.float32]  # [n, len(NUMERIC)], NaN is missing
Category = NDArray[np.object_]  # [n, len(CATEGORY)] of str, "" is missing


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of the model. `low` and `high` are inclusive; None for categories."""

    name: str
    unit: str
    description: str
    low: float | None = None
    high: float | None = None
    nullable: bool = True


def _delay(name: str, what: str) -> Feature:
    return Feature(name, "minutes", f"mean {what}", -180, 2880)


def _share(name: str, what: str) -> Feature:
    return Feature(name, "share", f"share of late arrivals among {what}", 0, 1)


NUMERIC: Final[tuple[Feature, ...]] = (
    Feature("sched_dep_minute", "minute of day", "scheduled departure, New York time", 0, 1439, False),
    Feature("day_of_week", "1 = Monday", "of the scheduled departure, New York time", 1, 7, False),
    Feature("distance", "miles", "between the airports", 1, 12_000, False),
    Feature("sched_block_minutes", "minutes", "scheduled arrival less scheduled departure", 1, 1_440, False),
    Feature("origin_sched_departures_1h", "flights", "scheduled out of the origin in the same hour", 0, 500, False),
    Feature("plane_age", "years", "since the aircraft was built", 0, 100),
    Feature("plane_seats", "seats", "of the aircraft", 1, 900),
    Feature("temp", "°F", "at the origin, last observation", -60, 140),
    Feature("dewp", "°F", "dew point at the origin", -80, 110),
    Feature("humid", "%", "relative humidity at the origin", 0, 100),
    Feature("wind_dir", "degrees", "where the wind comes from", 0, 360),
    Feature("wind_speed", "mph", "at the origin", 0, 250),
    Feature("wind_gust", "mph", "at the origin; missing when there is none", 0, 300),
    Feature("precip", "inches", "in the hour of the last observation", 0, 20),
    Feature("precip_6h", "inches", "sum over the last 6 hours", 0, 60),
    Feature("pressure", "millibar", "at sea level", 850, 1_100),
    Feature("visib", "miles", "at the origin, capped at 10", 0, 100),
    _delay("origin_dep_delay_1h", "delay of departures from the origin in the last hour"),
    _delay("origin_dep_delay_3h", "delay of departures from the origin in the last 3 hours"),
    Feature("origin_backlog_3h", "flights", "scheduled less departed, origin, last 3 hours", -500, 500, False),
    _share("origin_late_share_24h", "flights from the origin that landed in the last 24 hours"),
    _delay("carrier_dep_delay_3h", "delay of the carrier's departures in the last 3 hours"),
    _delay("carrier_origin_dep_delay_6h", "delay of the carrier's departures from the origin, last 6 hours"),
    _delay("dest_arr_delay_6h", "arrival delay of flights that landed at the destination, last 6 hours"),
    _share("dest_late_share_24h", "flights that landed at the destination in the last 24 hours"),
    _delay("system_dep_delay_1h", "delay of all departures in the last hour"),
    _delay("system_arr_delay_3h", "arrival delay of all flights that landed in the last 3 hours"),
    _delay("tail_dep_delay_24h", "delay of this aircraft's departures in the last 24 hours"),
    _share("flight_late_share_28d", "flights of this carrier and number that landed in the last 28 days"),
    _share("route_late_share_28d", "flights of this route that landed in the last 28 days"),
    _share("carrier_late_share_28d", "flights of this carrier that landed in the last 28 days"),
)
CATEGORY: Final[tuple[Feature, ...]] = (
    Feature("carrier", "IATA code", "operating carrier"),
    Feature("origin", "IATA code", "airport of departure"),
    Feature("dest", "IATA code", "airport of arrival"),
)
NUMERIC_NAMES: Final = tuple(f.name for f in NUMERIC)
CATEGORY_NAMES: Final = tuple(f.name for f in CATEGORY)
MAX_CATEGORY_LENGTH: Final = 16  # characters; longer strings are refused, unknown ones are answered

_LOW: Final = np.array([f.low for f in NUMERIC], np.float32)
_HIGH: Final = np.array([f.high for f in NUMERIC], np.float32)
_REQUIRED: Final = np.array([not f.nullable for f in NUMERIC])


def schema() -> dict[str, list[dict[str, object]]]:
    """The contract as plain JSON data, as it stands in every artifact's manifest."""
    return {"numeric": [asdict(f) for f in NUMERIC], "category": [asdict(f) for f in CATEGORY]}


SCHEMA_HASH: Final = hashlib.sha256(json.dumps(schema(), sort_keys=True).encode()).hexdigest()


def check_numeric(numeric: Numeric) -> None:
    """Refuse numbers outside the contract.

    Args:
        numeric: float32 [n, len(NUMERIC)]; NaN is missing.

    Raises:
        ContractViolation: wrong width, a value out of bounds or infinite, a required value missing.
    """
    if numeric.ndim != 2 or numeric.shape[1] != len(NUMERIC):
        raise ContractViolation(f"`numeric` must have shape [n, {len(NUMERIC)}], got {list(numeric.shape)}")
    # NaN compares false, so a missing value passes here and is looked at below.
    bad = (numeric < _LOW) | (numeric > _HIGH) | (np.isnan(numeric) & _REQUIRED)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ContractViolation(_describe(NUMERIC[column], float(numeric[row, column]), row))


def _describe(feature: Feature, value: float, row: int) -> str:
    rule = f"between {feature.low:g} and {feature.high:g} ({feature.unit})"
    got = "nothing (missing)" if np.isnan(value) else f"{value:g}"
    hint = "send null (JSON) or NaN (binary) when it is not known" if feature.nullable else "it is required"
    return f"`{feature.name}` must be {rule}, got {got} in row {row}; {hint}"


def check_category(category: Category) -> None:
    """Refuse strings that no vocabulary could hold; an unknown category is not an error.

    Args:
        category: str [n, len(CATEGORY)]; "" is missing.

    Raises:
        ContractViolation: wrong width, or a string longer than `MAX_CATEGORY_LENGTH`.
    """
    if category.ndim != 2 or category.shape[1] != len(CATEGORY):
        raise ContractViolation(f"`category` must have shape [n, {len(CATEGORY)}], got {list(category.shape)}")
    for row, values in enumerate(category.tolist()):
        for feature, value in zip(CATEGORY, values, strict=True):
            if len(value) > MAX_CATEGORY_LENGTH:
                raise ContractViolation(
                    f"`{feature.name}` must have at most {MAX_CATEGORY_LENGTH} characters, "
                    f"got {len(value)} in row {row}; send an {feature.unit}"
                )
