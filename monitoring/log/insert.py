"""Adds records to the prediction log, many at once: what is there already stays as it is, so a repeat is harmless."""

import operator
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import sqlalchemy as sa

from monitoring.log.database import asked
from monitoring.log.schema import DAY_US, FORMAT, LABELS, PREDICTIONS
from monitoring.spool.frames import Label, Prediction

Record = Prediction | Label
Row = tuple[Any, ...]

# Classes of what PostgreSQL says of a row that it does not take: a value, a constraint, a limit of its size.
_ROW_STATES: Final = ("22", "23", "54")
# SQLite's driver says so by these; the rest is found before a database is asked, such as too large an integer.
_ROW_ERRORS: Final = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError),
    *(psycopg.DataError, OverflowError, UnicodeError, TypeError),
)
_MEMBERS: Final[dict[sa.Table, tuple[str, ...]]] = {
    PREDICTIONS: (
        *("received_us", "id", "digest", "request_id", "role", "schema_hash", "protocol", "caller"),
        *("event_us", "duration_us", "rows", "numeric", "category", "score"),
    ),
    LABELS: ("request_id", "row", "received_us", "id", "value", "outcome_us", "caller"),
}
_CONSTANTS: Final[dict[sa.Table, dict[str, int]]] = {PREDICTIONS: {"first_row": 0, "format": FORMAT}, LABELS: {}}
_VALUES: Final[dict[sa.Table, Callable[[Any], Row]]] = {t: operator.attrgetter(*m) for t, m in _MEMBERS.items()}
_COLUMNS: Final = {PREDICTIONS: (*_MEMBERS[PREDICTIONS], "day"), LABELS: _MEMBERS[LABELS]}
_TABLE: Final[dict[type, sa.Table]] = {Prediction: PREDICTIONS, Label: LABELS}


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that the database does not take, whatever comes before and after it. `index` is of those given."""

    index: int
    why: str


class Fault(Exception):
    """The database refuses at least one of these rows."""


def insert(engine: sa.Engine, records: Sequence[Record]) -> list[Refused]:
    """Add records. Those with a key that is there already are left out; what is refused does not hold up the others.

    Without refusals all records are added in one transaction. Otherwise the halves are tried, down to the records that
    are at fault: what is good is in the database when this returns.

    Returns:
        Records that can never be added.

    Raises:
        Unavailable: the database is away, full, or lets this user not write. A part of the records may be in it.
        DataError: it has the tables of another version.
    """
    return list(_insert(engine, records, 0))


def _insert(engine: sa.Engine, records: Sequence[Record], offset: int) -> Iterator[Refused]:
    if not records:
        return
    try:
        _add(engine, records)
    except Fault as fault:
        if len(records) == 1:
            yield Refused(offset, str(fault))
            return
        half = len(records) // 2
        yield from _insert(engine, records[:half], offset)
        yield from _insert(engine, records[half:], offset + half)


def _add(engine: sa.Engine, records: Sequence[Record]) -> None:
    add = _copy if engine.dialect.name == "postgresql" else _execute
    with adding(engine) as connection:
        for kind, table in _TABLE.items():
            rows = list(_rows(table, [record for record in records if isinstance(record, kind)]))
            if rows:
                add(connection, table, rows)


def _rows(table: sa.Table, records: Sequence[Record]) -> Iterator[Row]:
    """Values of `_COLUMNS`."""
    values = map(_VALUES[table], records)
    if table is LABELS:
        return values
    return ((*row, record.received_us // DAY_US) for row, record in zip(values, records, strict=True))


@contextmanager
def adding(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that adds rows.

    Raises:
        Fault: the database refuses at least one of them.
        DataError, Unavailable: as `insert`.
    """
    with asked(engine) as connection:
        try:
            yield connection
        except Exception as error:
            cause = getattr(error, "orig", None) or error
            if _is_of_a_row(cause):
                raise Fault(_say(cause)) from error
            raise


def _execute(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    """SQLite's way. `OR IGNORE` would leave out rows that break a constraint as well, and say nothing."""
    names, values = _target(table, ["?"] * len(_COLUMNS[table]))
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({values}) ON CONFLICT DO NOTHING", rows)  # noqa: S608 - our own names


def _copy(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    """PostgreSQL's way: COPY knows no conflicts, so it fills a table of this connection's own, and that the other."""
    incoming, columns = f"incoming_{table.name}", _COLUMNS[table]
    types = [table.c[name].type.compile(connection.dialect) for name in columns]
    declared = ", ".join(f"{_quote(name)} {kind}" for name, kind in zip(columns, types, strict=True))
    own = ", ".join(map(_quote, columns))
    names, values = _target(table, [_quote(name) for name in columns])
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE IF NOT EXISTS {incoming} ({declared}) ON COMMIT DELETE ROWS")
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        with cursor.copy(f"COPY {incoming} ({own}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types([kind.partition("(")[0].lower() for kind in types])
            for row in rows:
                copy.write_row(row)
        cursor.execute(f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {incoming} ON CONFLICT DO NOTHING")  # noqa: S608 - our own names


def _target(table: sa.Table, values: list[str]) -> tuple[str, str]:
    """Columns to be filled and what fills them, as SQL."""
    constants = _CONSTANTS[table]
    names = map(_quote, (*_COLUMNS[table], *constants))
    return ", ".join(names), ", ".join((*values, *map(str, constants.values())))


def _quote(name: str) -> str:
    return f'"{name}"'


def _say(error: BaseException) -> str:
    """Without PostgreSQL's details, which hold the row's values."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _is_of_a_row(error: BaseException) -> bool:
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return state.startswith(_ROW_STATES) if state else isinstance(error, _ROW_ERRORS)
