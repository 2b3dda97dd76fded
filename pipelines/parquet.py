"""Tables between stages as Parquet: read, write and check them as contracts/tables.py says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.errors import ContractViolation, DataError
from contracts.files import write_atomic
from contracts.tables import Column, Table

ArrowTable = Any  # pyarrow ships no types

_TYPES: Final = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "float32": pa.float32(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}


def schema(columns: Sequence[Column]) -> Any:
    """The Arrow schema of a contract. Nullability is judged by `check`, which can say what is wrong."""
    return pa.schema([(column.name, _TYPES[column.dtype]) for column in columns])


def write(path: Path, table: ArrowTable) -> None:
    """Parquet whose bytes depend on the rows and their order alone."""
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(None), sink, compression="zstd")
    write_atomic(path, sink.getvalue())


def read(path: Path, columns: Sequence[str] | None = None) -> ArrowTable:
    """A table as it was written.

    Args:
        columns: names to read; None is all of them.

    Raises:
        DataError: no readable Parquet file there.
    """
    try:
        return pq.read_table(path, columns=columns, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"`{path.name}` must be a readable Parquet file, got: {error}; run `dvc repro`") from error


def check(name: str, table: ArrowTable, contract: Table, hint: str) -> None:
    """Refuse a table that breaks its contract.

    Args:
        name: of the table, for the message.
        hint: what to do about it.

    Raises:
        ContractViolation: names table, column, count and rule of the first breach.
    """
    _check_columns(name, table, contract.columns, hint)
    for column in contract.columns:
        _check_values(name, column, table[column.name], hint)
    duplicates = table.num_rows - table.group_by(list(contract.key)).aggregate([]).num_rows
    if duplicates:
        raise violation(name, "+".join(contract.key), "unique", f"{duplicates} duplicates", hint)


def violation(table: str, column: str, rule: str, got: str, hint: str) -> ContractViolation:
    """The error that says which table and column breaks which rule."""
    return ContractViolation(f"`{table}.{column}` must be {rule}, got {got}; {hint}")


def bounds(column: Column) -> str:
    """The rule in words, bounds as they stand in the contract."""
    if column.low is None and column.high is None:
        return "a number"
    if column.high is None:
        return f"at least {column.low:.10g}"
    if column.low is None:
        return f"at most {column.high:.10g}"
    return f"between {column.low:.10g} and {column.high:.10g}"


def _check_columns(name: str, table: ArrowTable, columns: Sequence[Column], hint: str) -> None:
    expected = schema(columns)
    for column in table.column_names:
        if column not in expected.names:
            raise violation(name, column, "absent: the contract has no such column", "one", hint)
    for field in expected:
        if field.name not in table.column_names:
            raise violation(name, field.name, f"a column of type {field.type}", "none", hint)
        if table.schema.field(field.name).type != field.type:
            raise violation(name, field.name, f"of type {field.type}", f"{table.schema.field(field.name).type}", hint)
    if table.column_names != expected.names:
        raise violation(name, "columns", f"in the order {expected.names}", f"{table.column_names}", hint)


def _check_values(name: str, column: Column, values: Any, hint: str) -> None:
    if not column.nullable and values.null_count:
        raise violation(name, column.name, "present in every row", f"{values.null_count} rows without", hint)
    if column.max_length is not None:
        too_long = pc.sum(pc.greater(pc.utf8_length(values), column.max_length)).as_py()
        if too_long:
            rule = f"of at most {column.max_length} characters"
            raise violation(name, column.name, rule, f"{too_long} rows with more", hint)
    if not pa.types.is_floating(values.type) and not pa.types.is_integer(values.type):
        return
    wrong = pc.invert(pc.is_finite(values))
    if column.low is not None:
        wrong = pc.or_(wrong, pc.less(values, column.low))
    if column.high is not None:
        wrong = pc.or_(wrong, pc.greater(values, column.high))
    count = pc.sum(wrong).as_py()
    if count:
        worst = pc.filter(values, wrong)[0].as_py()
        raise violation(name, column.name, bounds(column), f"{count} rows outside, the first {worst:.10g}", hint)
