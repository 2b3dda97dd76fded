"""Fetches database rows many at once, as columns."""

from collections.abc import Generator, Iterator
from contextlib import closing
from operator import methodcaller
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

FETCH: Final = 4_096  # database rows at once: more leave the processor's cache, and take half as long again
_SMALL: Final = 32  # the same where a row may be of megabytes
_count_separators = methodcaller("count", b"\0")
Columns = list[tuple[Any, ...]]


def fetch(connection: sa.Connection, query: sa.Select[Any], size: int = FETCH) -> Generator[Columns, None, None]:
    """The columns of `size` rows after the other. The driver's own cursor: SQLAlchemy's rows take twice the time."""
    sql = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
    driver: Any = connection.connection.driver_connection
    postgres = connection.dialect.name == "postgresql"
    if postgres:
        sql = sql.replace("%%", "%")  # the dialect doubles it for a driver that is given parameters
    with closing(driver.cursor(name="stream", binary=True) if postgres else driver.cursor()) as cursor:
        cursor.execute(sql)
        while found := cursor.fetchmany(size):
            yield list(zip(*found, strict=True))


def fetch_parts(connection: sa.Connection, query: sa.Select[Any], weight: int, most: int) -> Iterator[Columns]:
    """As `fetch`, but as many rows at once as have `most` together in the column of number `weight`, at least one."""
    part: list[tuple[Any, ...]] = []
    held = 0
    for columns in fetch(connection, query, _SMALL):
        for row in zip(*columns, strict=True):
            part.append(row)
            held += row[weight]
            if held >= most:
                yield list(zip(*part, strict=True))
                part, held = [], 0
    if part:
        yield list(zip(*part, strict=True))


def separators(category: tuple[bytes, ...]) -> NDArray[np.int64]:
    """[m]: NULs in each."""
    return np.fromiter(map(_count_separators, category), np.int64, len(category))


def lengths(values: tuple[bytes, ...]) -> NDArray[np.int64]:
    """[m]: bytes of each."""
    return np.fromiter(map(len, values), np.int64, len(values))


def integers(column: tuple[int, ...]) -> NDArray[np.int64]:
    """As an array. Many columns have one value: to see that takes half the time of taking each."""
    if column and column[0] == column[-1] and len(set(column)) == 1:
        return np.full(len(column), column[0], np.int64)
    return np.fromiter(column, np.int64, len(column))
