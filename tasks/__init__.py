"""Tasks by name: `tasks/<name>/` is a package of modules with fixed names.

    schema.py     SCHEMA: what is asked, what a model may see, in which units, bounds and words
    cleaning.py   `Cleaning`: raw files to checked tables
    windows.py    `Windows`: tables to predictions, and to the events that windows count
    log_before_schema.py    only of a task that is older than schemas: `RENAMED`, see `log_columns_before_schema`

Services and monitor import none of them: they take the schema from a model's manifest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from contracts.errors import ParameterError
from contracts.reports.ingest import TableIngest
from contracts.schema import Schema
from contracts.tables import Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Ingested:
    """What `Cleaning.ingest` made of the source.

    Attributes:
        frames: table -> its rows, with the columns of `Cleaning.TABLES`; they may have more.
        done: table -> what happened to the rows of the source.
        source_sha256: file name of the source -> hash.
    """

    frames: "Mapping[str, pd.DataFrame]"
    done: Mapping[str, TableIngest]
    source_sha256: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold between columns: "`table.column` must be <rule>".

    Attributes:
        broken: for each row of the table, in its order.
        example: words after the number of rows that break it; None names the key of the first.
    """

    table: str
    column: str
    rule: str
    broken: "pd.Series[bool]"
    example: str | None = None


class Cleaning(Protocol):
    """Module `cleaning` of a task."""

    @property
    def TABLES(self) -> Mapping[str, Table]:  # noqa: N802 - a constant of the module
        """Table -> columns and key."""

    def ingest(self, keep_every: int) -> Ingested:
        """Read the source, keep every n-th prediction's row, and mend or drop what breaks a table's columns.

        Raises:
            DataError: a file of the source is missing or damaged.
        """

    def rules(self, tables: "Mapping[str, pd.DataFrame]") -> Iterator[Rule]:
        """What must hold between the columns of the tables, beside their bounds."""


class Windows(Protocol):
    """Module `windows` of a task: Ibis expressions over the tables of its `cleaning`."""

    def queries(self, tables: Mapping[str, Any]) -> Any:
        """One row a prediction.

        Returns:
            row_id (string, unique), month ("2013-07", of the moment predicted about), predicted_at, outcome_at (null:
            never labelled), label (boolean, null with it), the columns that the `QueryColumn` sources of the schema
            name, and the keys that its windows have in `by`.
        """

    def events(self, tables: Mapping[str, Any]) -> Mapping[str, Any]:
        """Stream -> one row an event: `at` (instant), and the keys and values that the schema's windows name."""


def task_names() -> list[str]:
    """Packages below tasks/ that have a schema."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/schema.py"))


def load_schema(name: str) -> Schema:
    """What the task asks, and what a model of it may see.

    Raises:
        ParameterError: no such task; the message lists those that are there.
        SchemaInvalid: names the field and the rule.
    """
    return cast(Schema, _part(name, "schema").SCHEMA)


def load_cleaning(name: str) -> Cleaning:
    """How its raw files become tables.

    Raises:
        ParameterError: as `load_schema`.
    """
    return cast(Cleaning, _part(name, "cleaning"))


def load_windows(name: str) -> Windows:
    """How its tables become predictions and events.

    Raises:
        ParameterError: as `load_schema`.
    """
    return cast(Windows, _part(name, "windows"))


def log_columns_before_schema() -> dict[str, str]:
    """What labels' columns of the prediction log were called before tasks had a schema, old name -> name now."""
    older = [path.parent.name for path in Path(__file__).parent.glob("*/log_before_schema.py")]
    return {old: new for name in older for old, new in _part(name, "log_before_schema").RENAMED.items()}


def _part(name: str, part: str) -> Any:
    if name not in task_names():
        raise ParameterError(
            f"`task` must be one of {', '.join(task_names())}, got {name!r}; correct it in params.yaml, or make a "
            "package of that name below tasks/"
        )
    return import_module(f"tasks.{name}.{part}")
