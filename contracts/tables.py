"""Tables between stages: columns with type, bounds and key, checked by `validate` and `featurize`.

All instants are UTC without a zone (Parquet TIMESTAMP), so no session's time zone can move them.
"""

from dataclasses import dataclass
from typing import Literal

from contracts.schema import KEY_COLUMNS, Schema

Dtype = Literal["string", "int64", "float64", "float32", "boolean", "timestamp"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. `low`, `high` and `max_length` (characters) are inclusive; None is unbounded."""

    name: str
    dtype: Dtype
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` in their order; no two rows share all values of `key`."""

    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


_KEYS = (
    Column("row_id", "string"),
    Column("month", "string"),  # of the moment predicted about, in the calendar's zone: "2013-07"
    Column("predicted_at", "timestamp"),  # nothing after it is in the features
    Column("outcome_at", "timestamp", nullable=True),  # null: never labelled
    Column("label", "boolean", nullable=True),  # null: never labelled
)
if tuple(column.name for column in _KEYS) != KEY_COLUMNS:
    raise AssertionError("the columns that contracts/schema/ reserves are those that stand here")


def feature_table(schema: Schema) -> Table:
    """What `featurize` writes: keys for splitting, replaying and labelling, then the model's inputs in their order."""
    numeric = (Column(f.name, "float32", f.nullable, f.low, f.high) for f in schema.numeric)
    category = (Column(f.name, "string", max_length=f.max_length) for f in schema.category)
    return Table((*_KEYS, *numeric, *category), ("row_id",))
