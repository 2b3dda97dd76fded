"""The prediction log: its tables. `monitoring.log.writer` fills it from the spool, `monitoring.log.reader` reads it.

Every row of every answered request stands in `predictions` once: (request_id, row) is the key, and what comes later
under a key that is there already is dropped. So the writer may read a line twice, after a crash or a lost connection,
and a client may repeat a request.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from contracts.errors import DataError, ParameterError, Unavailable
from monitoring.log.spool import LabelRecord, PredictionRecord, Record

logger = logging.getLogger(__name__)

METADATA: Final = sa.MetaData()
PREDICTIONS: Final = sa.Table(
    "predictions",
    METADATA,
    sa.Column("request_id", sa.String(128), primary_key=True),
    sa.Column("row", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("protocol", sa.String(8), nullable=False),
    sa.Column("event_time", sa.DateTime, nullable=False, index=True),  # UTC: the caller's clock, or the time of arrival
    sa.Column("received_at", sa.DateTime, nullable=False, index=True),  # UTC: the service's clock
    sa.Column("duration_us", sa.BigInteger, nullable=False),
    sa.Column("numeric", sa.Text, nullable=False),  # JSON array in the schema's order, null is missing
    sa.Column("category", sa.Text, nullable=False),  # JSON array in the schema's order
    sa.Column("score", sa.Double, nullable=False),
)
LABELS: Final = sa.Table(
    "labels",
    METADATA,
    sa.Column("request_id", sa.String(128), primary_key=True),
    sa.Column("row", sa.Integer, primary_key=True),
    sa.Column("value", sa.Boolean, nullable=False),  # whether it was the positive outcome
    sa.Column("outcome_at", sa.DateTime),  # UTC; NULL: not told
    sa.Column("received_at", sa.DateTime, nullable=False),  # UTC
)
_INSERT: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_LOCK: Final = 0x77696E64  # "wind": any number that nobody else locks in this database
# Limits of PostgreSQL's client: a machine that vanishes closes no connection, and a try would hang for 15 minutes.
_LIMITS: Final[dict[str, Any]] = {
    "connect_timeout": 5,  # seconds, as all but the last
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
}
_encode = msgspec.json.Encoder().encode


def open_database(url: str) -> sa.Engine:
    """An engine. A file takes writes; a server may be unreachable: then `create_tables` is left to who writes first.

    Raises:
        ParameterError: not a URL of SQLite or PostgreSQL.
        DataError: tables of an earlier version.
        Unavailable: a file that cannot be opened or written, or a server that answers and refuses our tables.
    """
    try:
        address = sa.make_url(url)
        if address.get_backend_name() not in _INSERT:
            raise ParameterError(f"`database_url` must be SQLite's or PostgreSQL's, got `{address.drivername}`")
        if address.get_backend_name() == "sqlite" and address.database and not address.query:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        engine = connect(url)
        try:
            _prepare(engine)
        except BaseException:
            engine.dispose()
            raise
    except (sa.exc.SQLAlchemyError, ImportError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise Unavailable(
            f"the prediction log `{hide_password(url)}` must take writes, got: {cause}; "
            "correct WINDSOCK_DATABASE_URL or the database"
        ) from error
    return engine


def _prepare(engine: sa.Engine) -> None:
    try:
        create_tables(engine)
        with engine.begin() as connection:  # nothing but a write tells whether writing works
            connection.execute(sa.delete(LABELS).where(LABELS.c.row < 0))
    except sa.exc.OperationalError as error:
        if engine.dialect.name != "postgresql":
            raise
        # An unreachable server is no reason not to serve: the spool keeps the rows meanwhile.
        cause = str(error.orig).strip()
        logger.warning("the prediction log is unreachable, rows will wait in the spool: %s", cause)


def create_tables(engine: sa.Engine) -> None:
    """Make tables that are missing. Services that start at once on an empty database wait for each other.

    Raises:
        DataError: there are tables of an earlier version; nothing was made.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # there, IF NOT EXISTS alone is no help against one that is being made
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        check_tables(connection)
        for table in METADATA.sorted_tables:
            connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))


def check_tables(connection: sa.Connection) -> None:
    """Refuse tables that are there with other columns.

    Raises:
        DataError: names the columns, and the command that renews them.
    """
    inspector = sa.inspect(connection)
    for table in METADATA.sorted_tables:
        if not inspector.has_table(table.name):
            continue
        found, expected = [column["name"] for column in inspector.get_columns(table.name)], table.columns.keys()
        if missing := [name for name in expected if name not in found]:
            raise DataError(
                f"the table `{table.name}` of the prediction log must have {', '.join(missing)}, got the columns "
                f"{', '.join(found)}: an earlier version made it; stop what uses it and run `windsock log migrate`"
            )


def connect(url: str) -> sa.Engine:
    """An engine; SQLite's in WAL mode, so that readers and the writer do not wait for each other."""
    limits = _LIMITS if sa.make_url(url).get_backend_name() == "postgresql" else {}
    engine = sa.create_engine(url, pool_pre_ping=True, connect_args=limits)
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _: Any) -> None:
            for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL"):
                connection.execute(f"PRAGMA {pragma}").close()

    return engine


def hide_password(url: str) -> str:
    """The address as messages show it."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return url


def insert(engine: sa.Engine, records: list[Record]) -> None:
    """Add records in one transaction; rows whose key is there already stay as they are."""
    predictions = [row for r in records if isinstance(r, PredictionRecord) for row in _prediction_rows(r)]
    labels = [msgspec.structs.asdict(r) for r in records if isinstance(r, LabelRecord)]
    statement = _INSERT[engine.dialect.name]
    with engine.begin() as connection:
        if predictions:
            connection.execute(statement(PREDICTIONS).on_conflict_do_nothing(), predictions)
        if labels:
            connection.execute(statement(LABELS).on_conflict_do_nothing(), labels)


def _prediction_rows(record: PredictionRecord) -> Iterator[dict[str, object]]:
    for row, score in enumerate(record.score):
        yield {
            "request_id": record.request_id,
            "row": row,
            "digest": record.digest,
            "protocol": record.protocol,
            "event_time": record.event_time,
            "received_at": record.received_at,
            "duration_us": record.duration_us,
            "numeric": _encode(record.numeric[row]).decode(),
            "category": _encode(record.category[row]).decode(),
            "score": score,
        }
