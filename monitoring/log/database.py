"""Connections to the prediction log's database, and what must be true of it before anyone reads or writes."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
import sqlalchemy as sa

from contracts.errors import DataError, ParameterError, Unavailable
from monitoring.log.schema import PREDICTIONS, VERSION

# Limits of PostgreSQL's client: a machine that vanishes closes no connection, and a try would hang for 15 minutes.
_LIMITS: Final[dict[str, Any]] = {
    "connect_timeout": 5,  # seconds, as all but the last
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
}
_LOCK: Final = 0x77696E64  # "wind": any number that nobody else locks in this database
_LOCK_TIMEOUT: Final = "10s"  # of PostgreSQL, for those who read the tables just now


def connect(url: str) -> sa.Engine:
    """An engine; SQLite's in WAL mode, so that readers and the writer do not wait for each other.

    Raises:
        ParameterError: not a URL of SQLite or PostgreSQL.
    """
    try:
        address = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise ParameterError(f"`database_url` must be an URL of SQLAlchemy, got: {error}; correct it") from error
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise ParameterError(f"`database_url` must be SQLite's or PostgreSQL's, got `{address.drivername}`; correct it")
    limits = _LIMITS if address.get_backend_name() == "postgresql" else {}
    engine = sa.create_engine(url, pool_pre_ping=True, connect_args=limits)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: Any, _: Any) -> None:
    # auto_vacuum counts only in a file without tables; with it a DELETE gives its pages back to the disk.
    for pragma in ("busy_timeout=10000", "auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()


def hide_password(url: str) -> str:
    """The address as messages show it."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return url


@contextmanager
def opened(url: str) -> Iterator[sa.Engine]:
    """An engine that is disposed of at the end."""
    engine = connect(url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def exclusively(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that changes tables. Whoever else wants the same waits for its end."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # SQLite's driver begins no transaction before a change of a table by itself.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        yield connection


def version(connection: sa.Connection) -> str | None:
    """Version of the tables; "" are those of version 1 or older, which noted none; None: there are no tables."""
    inspector = sa.inspect(connection)
    if inspector.has_table("alembic_version"):
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        if found is not None:
            return found
    return "" if inspector.has_table(PREDICTIONS.name) else None


def check_version(connection: sa.Connection) -> None:
    """Refuse a database that has no tables, or those of another version.

    Raises:
        DataError: names the command that makes or renews them.
    """
    found = version(connection)
    if found == VERSION:
        return
    url = connection.engine.url.render_as_string(hide_password=True)
    if found is None:
        raise DataError(f"`{url}` must be a prediction log, got no tables; start the service once to make them")
    raise DataError(
        f"the prediction log `{url}` must be of version {VERSION}, got version {found or '1 or older'}; "
        "stop what uses it and run `windsock log migrate`"
        if found == "" or found < VERSION
        else f"the prediction log `{url}` must be of version {VERSION}, got the newer {found}; update this program"
    )


def open_log(url: str) -> sa.Engine:
    """An engine whose database has the tables, for who writes. Where there are none, they are made.

    Raises:
        ParameterError: not a URL of SQLite or PostgreSQL.
        DataError: tables of another version; nothing was changed. The message names the command that renews them.
        Unavailable: it cannot be reached, opened or written, or has no tables and lets this user make none.
    """
    engine = connect(url)
    try:
        make_folder(engine)
        _prepare(engine)
    except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
        engine.dispose()
        raise unavailable(url, error) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def make_folder(engine: sa.Engine) -> None:
    """Of SQLite's file, where it is missing."""
    address = engine.url
    if engine.dialect.name == "sqlite" and address.database and not address.query:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)


def _prepare(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        if version(connection) is not None:
            check_version(connection)
            if engine.dialect.name == "sqlite":  # nothing but a lock for writing tells whether a file takes writes
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
    from monitoring.log.migrations import upgrade  # Alembic loads only where there is something to make

    with exclusively(engine) as connection:
        if version(connection) is None:  # another one may have made them meanwhile
            upgrade(connection)
        check_version(connection)


@contextmanager
def asked(
    engine: sa.Engine, begin: Callable[[sa.Engine], AbstractContextManager[sa.Connection]] = sa.Engine.begin
) -> Iterator[sa.Connection]:
    """One transaction, whose failure is told as what it is.

    Raises:
        DataError: the database has the tables of another version, or none.
        Unavailable: it does not answer, or does not take what it is given.
    """
    try:
        with begin(engine) as connection:
            yield connection
    except (sa.exc.SQLAlchemyError, psycopg.Error, sqlite3.Error) as error:
        with suppress(sa.exc.SQLAlchemyError), engine.connect() as connection:
            check_version(connection)
        raise unavailable(engine.url.render_as_string(), error) from error


def unavailable(url: str, error: BaseException) -> Unavailable:
    """What is said when the database does not do what it must."""
    cause = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    return Unavailable(
        f"the prediction log `{hide_password(url)}` must answer and take writes, got: {cause.splitlines()[0]}; "
        "correct WINDSOCK_DATABASE_URL or the database, or run `windsock log migrate` as its owner"
    )
