"""The table of features: what a task's queries name, and every window of its schema, computed on DuckDB."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from contracts.errors import ContractViolation
from contracts.schema import KEY_COLUMNS, QueryColumn, Schema, Window
from contracts.tables import feature_table
from pipelines import parquet, rolling
from tasks.instants import Expression, minute

_ORDER: Final = ("predicted_at", "row_id")


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


def compute(database: Any, schema: Schema, queries: Expression, events: Mapping[str, Expression]) -> parquet.ArrowTable:
    """The whole table, in the order of `contracts.tables.feature_table`, sorted by `predicted_at` and `row_id`.

    Args:
        queries, events: as `tasks.Windows` makes them.

    Raises:
        ContractViolation: a column or stream that the schema names is not there, or a window's value is no integer.
    """
    windows = {f.name: f.source for f in schema.numeric if isinstance(f.source, Window)}
    _check_names(schema, windows, queries, events)
    asked = _asked(database, schema, windows, queries)
    computed: dict[str, Any] = {}
    lines = ibis.memtable(asked.select(["row", "cutoff", *rolling.keys(windows)]))
    for stream in sorted({window.events for window in windows.values()}):
        happened = events[stream].mutate(at=minute(events[stream]["at"]))
        for group in _groups({name: window for name, window in windows.items() if window.events == stream}):
            last = next(iter(group.values())).statistic == "last"
            table = (rolling.latest if last else rolling.totals)(happened, lines, group)
            found = database.to_pyarrow(table.order_by("row"))
            computed |= {name: found[name] for name in group}
    columns = {name: asked[name] for name in KEY_COLUMNS}
    for feature in schema.numeric:
        known = computed[feature.name] if feature.name in windows else asked[_column(feature.source)]
        columns[feature.name] = pc.cast(known, pa.float32(), safe=False)
    for category in schema.category:
        columns[category.name] = pc.fill_null(pc.cast(asked[category.source.name], pa.string()), "")
    return pa.table(columns).cast(parquet.schema(feature_table(schema).columns))


def _asked(database: Any, schema: Schema, windows: Mapping[str, Window], queries: Expression) -> parquet.ArrowTable:
    """The queries in their order, with `row`, a short name for a prediction: strings are dear to carry through every
    window; and `cutoff`, the minute of `predicted_at`."""
    sources = {f.source.name for f in schema.features if isinstance(f.source, QueryColumn)} | set(rolling.keys(windows))
    chosen = queries.select(*KEY_COLUMNS, *sorted(sources - set(KEY_COLUMNS)), cutoff=minute(queries["predicted_at"]))
    table = database.to_pyarrow(chosen.order_by(*_ORDER))
    return table.append_column("row", pa.array(range(table.num_rows), pa.int64()))


def _groups(windows: Mapping[str, Window]) -> Iterator[dict[str, Window]]:
    """Windows of one stream that are computed together: all sums and means, and the last values by keys and lag."""
    grouped: dict[Any, dict[str, Window]] = {}
    for name, window in windows.items():
        shared = (window.by, window.lag) if window.statistic == "last" else None
        grouped.setdefault(shared, {})[name] = window
    yield from grouped.values()


def _column(source: QueryColumn | Window) -> str:
    return source.name if isinstance(source, QueryColumn) else source.value


def _check_names(
    schema: Schema, windows: Mapping[str, Window], queries: Expression, events: Mapping[str, Expression]
) -> None:
    """Refuse a schema that names what queries and events lack, before anything is computed."""
    sources = {f.source.name for f in schema.features if isinstance(f.source, QueryColumn)}
    _require("queries", queries, {*KEY_COLUMNS, *sources, *rolling.keys(windows)})
    for name, window in windows.items():
        if window.events not in events:
            raise ContractViolation(
                f"the stream of `{name}` must be one of {', '.join(sorted(events))}, got `{window.events}`; "
                "correct the schema, or add it to `events` in windows.py"
            )
        stream = events[window.events]
        _require(f"events.{window.events}", stream, {"at", window.value, *window.by})
        if window.statistic != "last" and not stream[window.value].type().is_integer():
            raise ContractViolation(
                f"`{window.events}.{window.value}` must be an integer, got {stream[window.value].type()}: only sums of "
                "integers are exact; count in a smaller unit, and give the window a `divisor`"
            )


def _require(name: str, table: Expression, columns: set[str]) -> None:
    missing = sorted(columns - set(table.columns))
    if missing:
        raise ContractViolation(
            f"`{name}` must have the columns that the schema names, got none called {', '.join(missing)}; "
            "add them in windows.py, or correct the schema"
        )
