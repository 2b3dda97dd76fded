"""The table of features follows from a schema: another one, on hand-made tables, with nothing of the flights."""

from datetime import datetime, timedelta
from typing import Any

import ibis
import pandas as pd
import pytest

from contracts.errors import ContractViolation
from contracts.schema import (
    KEY_COLUMNS,
    Calendar,
    CategoricalFeature,
    NumericFeature,
    QueryColumn,
    Schema,
    Subject,
    Target,
    Window,
)
from contracts.tables import feature_table
from pipelines import parquet
from pipelines.feature_windows import compute, connection
from pipelines.stages import featurize

NOON = datetime(2024, 5, 31, 12)


def _feature(name: str, source: Any) -> NumericFeature:
    return NumericFeature(name, "units", "of a made world", -100, 100, source)


SCHEMA = Schema(
    name="made",
    title="Made",
    subject=Subject("pump", "pumps"),
    target=Target("fails", "Will it fail?", "fails", "failing", "running", "a day has passed"),
    calendar=Calendar("UTC", horizon_minutes=60, label_delay_minutes=0),
    numeric=(
        _feature("age", QueryColumn("age")),
        _feature("strokes_1h", Window("strokes", "count", "sum", 60, ("pump",))),
        _feature("pressure", Window("gauge", "pressure", "last", 120, ("pump",), lag=10)),
        _feature("pressure_of_all", Window("gauge", "pressure", "last", 120)),
    ),
    category=(CategoricalFeature("maker", "name", "who made it", QueryColumn("maker"), example="A", max_length=4),),
)
QUERIES = pd.DataFrame(
    {
        "row_id": ["b", "a", "c"],
        "month": "2024-05",
        "predicted_at": [NOON, NOON, NOON - timedelta(hours=3)],
        "outcome_at": NOON + timedelta(days=1),
        "label": [True, False, None],
        "age": [3, 4, 5],
        "maker": ["A", None, "B"],
        "pump": ["p", "q", None],
    }
)
EVENTS = {
    "strokes": pd.DataFrame({"at": [NOON, NOON - timedelta(hours=1)], "pump": ["p", "p"], "count": [7, 50]}),
    "gauge": pd.DataFrame({"at": [NOON, NOON - timedelta(minutes=10)], "pump": ["p", "q"], "pressure": [2.5, 1.25]}),
}


def _compute(schema: Schema = SCHEMA, queries: pd.DataFrame = QUERIES, **events: pd.DataFrame) -> Any:
    streams = {name: ibis.memtable(frame) for name, frame in (EVENTS | events).items()}
    with connection() as database:
        return compute(database, schema, ibis.memtable(queries), streams)


def test_every_feature_of_the_schema_is_a_column_in_the_order_of_time_and_row() -> None:
    table = _compute()
    assert table.schema.equals(parquet.schema(feature_table(SCHEMA).columns))
    assert tuple(table.column_names) == (*KEY_COLUMNS, *SCHEMA.names)
    assert table["row_id"].to_pylist() == ["c", "a", "b"]
    assert table["age"].to_pylist() == [5, 4, 3]
    assert table["strokes_1h"].to_pylist() == [None, None, 7]
    assert table["pressure"].to_pylist() == [None, 1.25, None]
    assert table["pressure_of_all"].to_pylist() == [None, 2.5, 2.5]
    assert table["maker"].to_pylist() == ["B", "", "A"]


def test_what_the_schema_names_must_be_there() -> None:
    with pytest.raises(ContractViolation, match=r"`queries` must have the columns .* none called age"):
        _compute(queries=QUERIES.drop(columns="age"))
    with pytest.raises(ContractViolation, match=r"`events\.gauge` must have the columns .* none called pump"):
        _compute(gauge=EVENTS["gauge"].drop(columns="pump"))
    elsewhere = _feature("other", Window("meters", "count", "sum", 60))
    changed = Schema(**{n: getattr(SCHEMA, n) for n in SCHEMA.__struct_fields__} | {"numeric": (elsewhere,)})
    with pytest.raises(ContractViolation, match="stream of `other` must be one of gauge, strokes, got `meters`"):
        _compute(changed)


def test_only_integers_are_summed() -> None:
    with pytest.raises(ContractViolation, match=r"`strokes\.count` must be an integer, got float64.*`divisor`"):
        _compute(strokes=EVENTS["strokes"].astype({"count": float}))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("age", 101, r"`features\.age` must be between -100 and 100, got 1 rows outside, the first 101"),
        ("maker", "ABCDE", r"`features\.maker` must be of at most 4 characters, got 1 rows"),
        ("row_id", "a", r"`features\.row_id` must be unique, got 1 duplicates"),
        ("month", "2024-06", r"`features\.month` must be the month of `predicted_at` plus the horizon, in UTC, got 1"),
    ],
)
def test_what_breaks_the_schema_is_refused(column: str, value: Any, message: str) -> None:
    queries = QUERIES.copy()
    queries.loc[0, column] = value
    with pytest.raises(ContractViolation, match=message):
        featurize.check(_compute(queries=queries), SCHEMA, "made")
    featurize.check(_compute(), SCHEMA, "made")
