"""What the log lets go of: rows older than they are kept for, and those of requests that shall be forgotten."""

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from monitoring.log.database import asked
from monitoring.log.reader import ask_log
from monitoring.log.schema import DAY_US, DAYS, LABELS, PREDICTIONS, REPLICAS, to_us
from monitoring.log.upkeep.partitions import begin, drop_partitions, make_partitions, today

_BATCH: Final = 500  # rows, or ids, of one transaction
_PAUSE_SECONDS: Final = 0.02  # between two, for those who write meanwhile
_INCREMENTAL: Final = 2  # SQLite's number for an auto_vacuum that is asked for
_FREED_PAGES: Final = 2_000  # of SQLite's file, given back in one step


@dataclass(frozen=True, slots=True)
class Maintained:
    """Partitions that were made and dropped (PostgreSQL), and rows that were deleted."""

    made: list[str]
    dropped: list[str]
    deleted: int


def maintain(engine: sa.Engine, days: int) -> Maintained:
    """Let go of what arrived more than `days` days ago, whole days of UTC; make PostgreSQL's partitions ahead.

    Replicas that have been silent for a day are forgotten, too: each process of each pod that there was is one.

    Every step is a transaction of its own, so a kill leaves the rest to the next run.

    Raises:
        DataError, Unavailable: as `monitoring.log.database.asked`.
    """
    first = today() - timedelta(days=days)
    with asked(engine) as connection:
        connection.execute(sa.delete(REPLICAS).where(REPLICAS.c.reported_us < time.time_ns() // 1_000 - DAY_US))
    if engine.dialect.name == "postgresql":
        dropped = drop_partitions(engine, first)
        deleted = _delete_before(engine, first)  # the default partition's
        return Maintained(make_partitions(engine, first), dropped, deleted)
    deleted = _delete_before(engine, first)
    _give_back(engine)
    return Maintained([], [], deleted)


def delete_requests(engine: sa.Engine, request_ids: Iterable[str]) -> int:
    """Delete all that is known of requests: their predictions, by any model, and their labels. Returns how many rows.

    What waits in a spool comes later: ask again for ids that were in use just now.

    Raises:
        DataError, Unavailable: as `monitoring.log.database.asked`. Earlier batches are deleted.
    """
    ids, deleted = iter(request_ids), 0
    while batch := list(itertools.islice(ids, _BATCH)):
        for table in DAYS:
            deleted += _delete(engine, sa.delete(table).where(table.c.request_id.in_(batch)))
    _give_back(engine)
    return deleted


def count_orphans(database_url: str, first: datetime, last: datetime) -> int:
    """Labels that arrived in `first <= .. < last` and name no row that the log has.

    Raises:
        DataError: there is no prediction log of this version at this address.
    """
    p, la = PREDICTIONS.c, LABELS.c
    named = (p.request_id == la.request_id) & (la.row >= p.first_row) & (la.row < p.first_row + p.rows)
    query = (
        sa.select(sa.func.count())
        .select_from(LABELS)
        .where(la.received_us >= to_us(first), la.received_us < to_us(last), ~sa.exists().where(named))
    )
    found: int = ask_log(database_url, lambda connection: connection.scalar(query))
    return found


def _delete_before(engine: sa.Engine, first: date) -> int:
    deleted = 0
    for table, (column, _) in DAYS.items():
        key = sa.tuple_(*table.primary_key.columns)
        old = sa.select(*table.primary_key.columns).where(column < begin(table, first)).limit(_BATCH)
        while some := _delete(engine, sa.delete(table).where(key.in_(old))):
            deleted += some
    return deleted


def _delete(engine: sa.Engine, statement: sa.Delete) -> int:
    with asked(engine) as connection:
        result: Any = connection.execute(statement)
    time.sleep(_PAUSE_SECONDS)
    return int(result.rowcount)


def _give_back(engine: sa.Engine) -> None:
    """Shrink SQLite's file by the pages that are free, a few at a time. PostgreSQL's autovacuum does that by itself."""
    if engine.dialect.name != "sqlite":
        return
    while True:
        with asked(engine) as connection:
            free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
            if free == 0 or connection.exec_driver_sql("PRAGMA auto_vacuum").scalar_one() != _INCREMENTAL:
                return
            driver: Any = connection.connection.driver_connection
            driver.execute(f"PRAGMA incremental_vacuum({_FREED_PAGES})").fetchall()  # frees a page a fetch
        time.sleep(_PAUSE_SECONDS)
