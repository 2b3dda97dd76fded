"""A schema refuses what is wrong in it, when it is made and when it is decoded, and names the field and the rule."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from contracts.errors import ContractViolation, SchemaInvalid
from contracts.schema import Calendar, NumericFeature, QueryColumn, Ranges, Schema, Window, decode_schema
from tasks.flights.schema import SCHEMA

TEMP = next(feature for feature in SCHEMA.numeric if feature.name == "temp")
LATE = NumericFeature("late", "share", "the answer itself", 0, 1, QueryColumn("late"))
OUTCOME = NumericFeature("landing", "minute", "known when it is too late", 0, 1, QueryColumn("outcome_at"))


def of(*numeric: NumericFeature) -> Schema:
    return msgspec.structs.replace(SCHEMA, numeric=numeric)


def sliced(*slices: str | Ranges) -> Schema:
    return msgspec.structs.replace(SCHEMA, slices=slices)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: of(TEMP, TEMP), "name of a feature must be its own, got `temp` twice"),
        (lambda: msgspec.structs.replace(TEMP, low=200), "bounds of `temp` must be low < high, got 200 and 140"),
        (lambda: Window("weather", "temp", "last", 60, lag=-1), "`weather.temp` must be 0 or more minutes, got -1"),
        (lambda: Window("weather", "temp", "last", 0), "`weather.temp` must be at least 1, got 0"),
        (lambda: of(LATE), "target `late` must not be a feature"),
        (lambda: of(OUTCOME), "target `late` must not be a feature"),
        (lambda: of(msgspec.structs.replace(TEMP, name="label")), "`label` must not be the name of a feature"),
        (lambda: of(), "must have a number and a category at least, got 0 and 3"),
        (lambda: msgspec.structs.replace(SCHEMA, slices=("tail",)), "slice must be one of the categories"),
        (lambda: sliced(Ranges("origin", (1,))), "ranges must be of one of the numbers, got `origin`"),
        (lambda: sliced("origin", "origin"), "each slice must be named once, got origin, origin"),
        (lambda: sliced(Ranges("temp", (1,)), Ranges("temp", (2,))), "each slice must be named once, got temp, temp"),
        (lambda: Ranges("temp", ()), "edges of the ranges of `temp` must be one number or more, ascending, got none"),
        (lambda: Ranges("temp", (50, 50)), "must be one number or more, ascending, got 50, 50"),
        (lambda: msgspec.structs.replace(TEMP, example=500), "example of `temp` must be between -60 and 140, got 500"),
        (lambda: msgspec.structs.replace(TEMP, nullable=False, example=None), "`temp` must have an example"),
        (lambda: msgspec.structs.replace(TEMP, name="Temp °F"), "`NumericFeature.name` must be"),
        (lambda: Calendar("Mars/Olympus", 0, 0), "`time_zone` must be a name of the IANA database"),
        (lambda: Calendar("UTC", -1, 0), "`horizon_minutes` must be 0 or more, got -1"),
    ],
)
def test_wrong_schema_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(SchemaInvalid, match=message):
        make()


def test_wrong_schema_is_refused_when_it_is_decoded() -> None:
    plain = msgspec.to_builtins(SCHEMA)
    plain["numeric"][0]["low"] = 9_999
    with pytest.raises(SchemaInvalid, match="bounds of `sched_dep_minute` must be low < high, got 9999 and 1439"):
        decode_schema(plain)
    plain["numeric"][0]["low"] = 0
    del plain["target"]
    with pytest.raises(SchemaInvalid, match="missing required field `target`"):
        decode_schema(plain)


def test_schema_survives_json_with_its_hash() -> None:
    again = msgspec.json.decode(msgspec.json.encode(SCHEMA), type=Schema)
    assert (again, again.hash) == (SCHEMA, SCHEMA.hash)
    assert msgspec.structs.replace(SCHEMA, title="Another").hash != SCHEMA.hash


def test_rows_outside_the_schema_are_refused() -> None:
    numeric = np.array([[feature.low for feature in SCHEMA.numeric]], np.float32)
    SCHEMA.check_numeric(numeric)
    numeric[0, SCHEMA.numeric_names.index("temp")] = np.nan
    SCHEMA.check_numeric(numeric)
    numeric[0, 0] = np.nan
    with pytest.raises(ContractViolation, match=r"`sched_dep_minute` must be between 0 and 1439 .* it is required"):
        SCHEMA.check_numeric(numeric)
    with pytest.raises(ContractViolation, match="`carrier` must have at most 16 characters, got 17 in row 0"):
        SCHEMA.check_category(np.array([["A" * 17, "", ""]], object))


def test_a_range_begins_with_its_edge_and_what_is_missing_has_a_place_of_its_own() -> None:
    ranges = Ranges("temp", (0.5, 1_200))
    values = np.array([np.nan, -3, 0.5, 1_199.9, 1_200, np.inf], np.float32)
    assert [ranges.names[i] for i in ranges.code(values)] == ["", "..0.5", "0.5..1200", "0.5..1200", "1200..", "1200.."]
