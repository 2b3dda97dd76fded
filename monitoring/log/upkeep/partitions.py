"""PostgreSQL's partitions: a day of `predictions` and of `labels` each, made ahead, dropped in one piece.

What arrives for a day that has none, such as from a clock that is wrong, stands in a default partition until it gets
its own.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from monitoring.log.database import asked, exclusively
from monitoring.log.schema import DAYS

AHEAD_DAYS: Final = 7  # a week without `windsock log maintain` goes unnoticed
_EPOCH: Final = date(1970, 1, 1)
_FORM: Final = "%Y%m%d"


def today() -> date:
    """Of UTC."""
    return datetime.now(UTC).date()


def begin(table: sa.Table, day: date) -> int:
    """Where a day begins in the column that the table's days are told by."""
    return (day - _EPOCH).days * DAYS[table][1]


def day_of(table: sa.Table, value: int) -> date:
    """The day of a value of that column."""
    return _EPOCH + timedelta(days=value // DAYS[table][1])


def make_partitions(engine: sa.Engine, first: date | None = None) -> list[str]:
    """Make those of today and of the days ahead, and of what stands in the default partition.

    Args:
        first: no partition is made for a day before; None: whatever there is.

    Returns:
        Names of those that were made.

    Raises:
        DataError, Unavailable: as `monitoring.log.database.asked`, also when readers hold the table for long.
    """
    made = []
    ahead = {today() + timedelta(days=i) for i in range(AHEAD_DAYS + 1)}
    for table in DAYS:
        with asked(engine) as connection:
            wanted = ahead | _days_in_default(connection, table)
            there = _partitions(connection, table.name)
        for day in sorted(wanted - there.keys()):
            if first is None or day >= first:
                made.append(_make(engine, table, day))
    return made


def drop_partitions(engine: sa.Engine, before: date) -> list[str]:
    """Drop those of the days before. Returns their names.

    Raises:
        DataError, Unavailable: as `make_partitions`.
    """
    dropped = []
    for table in DAYS:
        with asked(engine) as connection:
            there = _partitions(connection, table.name)
        for day, name in sorted(there.items()):
            if day < before:
                with asked(engine, exclusively) as connection:
                    connection.exec_driver_sql(f"DROP TABLE {name}")
                dropped.append(name)
    return dropped


def _make(engine: sa.Engine, of: sa.Table, day: date) -> str:
    table, name, column = of.name, f"{of.name}_{day.strftime(_FORM)}", DAYS[of][0].name
    first, end = begin(of, day), begin(of, day + timedelta(days=1))
    span = f"{column} >= {first} AND {column} < {end}"
    with asked(engine, exclusively) as connection:
        # From here to the end nobody adds to the default partition what belongs into the new one.
        connection.exec_driver_sql(f"LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE")
        connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
        connection.exec_driver_sql(
            f"WITH moved AS (DELETE FROM {table}_default WHERE {span} RETURNING *) "  # noqa: S608 - our own names
            f"INSERT INTO {name} SELECT * FROM moved"
        )
        connection.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})")
    return name


def _partitions(connection: sa.Connection, table: str) -> dict[date, str]:
    names = connection.scalars(
        sa.text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:table AS regclass)"),
        {"table": table},
    )
    days = {name: name.removeprefix(f"{table}_") for name in names}
    return {datetime.strptime(day, _FORM).date(): name for name, day in days.items() if day.isdigit()}


def _days_in_default(connection: sa.Connection, table: sa.Table) -> set[date]:
    column, unit = DAYS[table]
    found = connection.exec_driver_sql(f"SELECT DISTINCT {column.name} / {unit} FROM {table.name}_default")  # noqa: S608 - our own names
    return {day_of(table, day * unit) for (day,) in found}
