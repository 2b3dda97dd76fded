"""`windsock log export`: the log as Parquet files, a file a day and table, for DuckDB and other readers.

    <folder>/predictions/day=2026-11-26/rows.parquet   one row a row of features, numbers and strings as lists
    <folder>/labels/day=2026-11-26/rows.parquet        every label that was told, corrections among them

A day is that of the arrival, UTC. Rows are read and written a part at a time; a file appears when it is whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from contracts.errors import NotFound, ParameterError, Unavailable
from contracts.files import whole_file
from monitoring.log.database import asked, opened
from monitoring.log.rows.fetching import fetch, fetch_parts, lengths, separators
from monitoring.log.schema import DAYS, LABELS, PREDICTIONS
from monitoring.log.upkeep.partitions import begin, day_of

_ROWS: Final = 65_536  # of features that are held at once, about
Arrow = Any  # pyarrow ships no types


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: days that have a row, rows of predictions, labels."""

    days: int
    predictions: int
    labels: int


def export_log(database_url: str, folder: Path, first: date | None = None, last: date | None = None) -> Exported:
    """Write what arrived on these days, each inclusive. Files of other days stay; those of these are replaced.

    Args:
        first, last: None: the log's first or last day.

    Raises:
        ParameterError: the days are in the wrong order.
        DataError: there is no prediction log of this version at this address.
        Unavailable: the database or the folder does not do its part; whole files stay.
        NotFound: pyarrow is not installed, as in the images.
    """
    if first and last and first > last:
        raise ParameterError(f"`first` must not be after `last`, got {first} and {last}; swap them")
    try:
        import pyarrow  # noqa: F401 - asked for first: nothing is to be begun without it
    except ModuleNotFoundError as error:
        raise NotFound("`windsock log export` must have pyarrow, got none; run it in a checkout") from error
    written = {PREDICTIONS: 0, LABELS: 0}
    days: set[date] = set()
    with opened(database_url) as engine:
        for table in written:
            for day in _days(engine, table, first, last):
                path = folder / table.name / f"day={day}" / "rows.parquet"
                try:
                    written[table] += _write(engine, table, day, path)
                except OSError as error:
                    raise Unavailable(f"`{folder}` must take the export, got: {error}; correct --out") from error
                days.add(day)
    return Exported(len(days), written[PREDICTIONS], written[LABELS])


def _days(engine: sa.Engine, table: sa.Table, first: date | None, last: date | None) -> Iterator[date]:
    """Days that have a row, in order: each is found by a look into the index behind the one before."""
    column, _ = DAYS[table]
    query = sa.select(sa.func.min(column))
    query = query if last is None else query.where(column < begin(table, last + timedelta(days=1)))
    while True:
        with asked(engine) as connection:
            found = connection.scalar(query if first is None else query.where(column >= begin(table, first)))
        if found is None:
            return
        yield (day := day_of(table, found))
        first = day + timedelta(days=1)


def _write(engine: sa.Engine, table: sa.Table, day: date, path: Path) -> int:
    """Returns the rows of the file. They are read in one transaction."""
    import pyarrow.parquet

    column, _ = DAYS[table]
    of_day = (column >= begin(table, day)) & (column < begin(table, day + timedelta(days=1)))
    query = sa.select(table).where(of_day).order_by(table.c.received_us, table.c.id)
    rows, writer = 0, None
    with asked(engine) as connection, whole_file(path) as file:
        for part in _parts(connection, query, table):
            writer = writer or pyarrow.parquet.ParquetWriter(file, part.schema, compression="zstd")
            writer.write_table(part)
            rows += part.num_rows
        if writer is not None:
            writer.close()
    return rows


def _parts(connection: sa.Connection, query: sa.Select[Any], table: sa.Table) -> Iterator[Arrow]:
    names = table.columns.keys()
    if table is LABELS:
        for columns in fetch(connection, query):
            yield _labels(dict(zip(names, columns, strict=True)))
    else:
        for columns in fetch_parts(connection, query, names.index("rows"), _ROWS):
            yield _predictions(dict(zip(names, columns, strict=True)))


def _predictions(columns: dict[str, Any]) -> Arrow:
    """A table with a row a row of features."""
    import pyarrow as pa

    rows = np.array(columns["rows"], np.int64)
    request = np.repeat(np.arange(len(rows)), rows)
    place = np.arange(len(request)) - np.repeat(np.cumsum(rows) - rows, rows)
    texts = ("id", "request_id", "digest", "role", "schema_hash", "protocol", "caller")
    named = {name: pa.array(columns[name], pa.string()).dictionary_encode().take(request) for name in texts}
    numbers = np.frombuffer(b"".join(columns["numeric"]), "<f4")
    strings = b"\0".join(columns["category"]).decode().split("\0")
    return pa.table(
        {name: value.cast(pa.string()) for name, value in named.items()}
        | {
            "row": pa.array((np.array(columns["first_row"], np.int64)[request] + place).astype(np.int32)),
            "event_time": _instants(columns["event_us"]).take(request),
            "received_at": _instants(columns["received_us"]).take(request),
            "duration_us": pa.array(columns["duration_us"], pa.int64()).take(request),
            "numeric": _lists(pa.array(numbers, mask=np.isnan(numbers)), lengths(columns["numeric"]) // 4, rows),
            "category": _lists(_or_null(strings), separators(columns["category"]) + 1, rows),
            "score": pa.array(np.frombuffer(b"".join(columns["score"]), "<f4")),
        }
    )


def _labels(columns: dict[str, Any]) -> Arrow:
    import pyarrow as pa

    return pa.table(
        {
            "id": pa.array(columns["id"], pa.string()),
            "request_id": pa.array(columns["request_id"], pa.string()),
            "row": pa.array(columns["row"], pa.int32()),
            "value": pa.array(np.array(columns["value"], bool)),  # SQLite says 0 and 1
            "outcome_at": _instants(columns["outcome_us"]),
            "received_at": _instants(columns["received_us"]),
            "caller": pa.array(columns["caller"], pa.string()),
        }
    )


def _instants(microseconds: tuple[int | None, ...]) -> Arrow:
    import pyarrow as pa

    return pa.array(microseconds, pa.int64()).cast(pa.timestamp("us", "UTC"))


def _or_null(strings: list[str]) -> Arrow:
    """The empty string is missing."""
    import pyarrow as pa

    return pa.array([value or None for value in strings], pa.string())


def _lists(values: Arrow, counts: NDArray[np.int64], rows: NDArray[np.int64]) -> Arrow:
    """Values as a list a row.

    Args:
        counts: [m] of values in each request.
        rows: [m] of rows in each request.
    """
    import pyarrow as pa

    each = np.repeat(counts // rows, rows)
    return pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(each)]).astype(np.int32), values)
