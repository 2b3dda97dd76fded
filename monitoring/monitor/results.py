"""The monitor's results in the prediction log's database, for `windsock monitor serve` and for anyone with SQL.

A result and its pages are written in one transaction. The newest result's pages are kept, and the last `HISTORY`
results without theirs: a week of hourly runs, some 20 MB at most.
"""

import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from contracts.errors import Unavailable
from monitoring.log.tables import PREDICTIONS, connect, hide_password

HISTORY: Final = 168  # results
# PostgreSQL's client gives up on a server that is away: the default is to wait for minutes.
PATIENCE: Final = {"connect_timeout": "5", "tcp_user_timeout": "10000"}  # seconds, milliseconds
METADATA: Final = sa.MetaData()  # the monitor's own: the service makes and knows the log's tables only
REPORTS: Final = sa.Table(
    "monitor_reports",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("generated_at", sa.DateTime, nullable=False),  # UTC
    sa.Column("report", sa.Text, nullable=False),  # JSON, as reports/monitoring.json
)
PAGES: Final = sa.Table(
    "monitor_pages",
    METADATA,
    sa.Column("report_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(16), primary_key=True),  # "2013-07", "window"
    sa.Column("html", sa.LargeBinary, nullable=False),  # gzip: Evidently's page is 6 MB, a fifth of it so
)


@dataclass(frozen=True, slots=True)
class Newest:
    """What the database says now. `report` None: the monitor has not run. `received_at` None: the log is empty."""

    report: dict[str, Any] | None
    received_at: datetime | None  # of the newest prediction, UTC without a zone


def save(database_url: str, report: dict[str, Any], pages: dict[str, bytes]) -> None:
    """Write a result and its pages, and drop what has had its time.

    Raises:
        Unavailable: the database takes no writes. It then holds what it held.
    """
    engine = _open(database_url)
    try:
        METADATA.create_all(engine)
        with engine.begin() as connection:
            when = datetime.fromisoformat(report["generated_at"]).astimezone(UTC).replace(tzinfo=None)
            written = connection.execute(sa.insert(REPORTS).values(generated_at=when, report=json.dumps(report)))
            (id_,) = written.inserted_primary_key or (0,)
            connection.execute(sa.delete(PAGES).where(PAGES.c.report_id < id_))
            for name, html in pages.items():
                packed = gzip.compress(html, compresslevel=6, mtime=0)
                connection.execute(sa.insert(PAGES).values(report_id=id_, name=name, html=packed))
            connection.execute(sa.delete(REPORTS).where(REPORTS.c.id <= id_ - HISTORY))
    except sa.exc.SQLAlchemyError as error:
        raise _away(database_url, error) from error
    finally:
        engine.dispose()


def newest(database_url: str) -> Newest:
    """
    Raises:
        Unavailable: the database does not answer.
    """
    engine = _open(database_url)
    try:
        with engine.connect() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            report = received = None
            if REPORTS.name in tables:
                report = connection.scalar(sa.select(REPORTS.c.report).order_by(REPORTS.c.id.desc()).limit(1))
            if PREDICTIONS.name in tables:
                received = connection.scalar(sa.select(sa.func.max(PREDICTIONS.c.received_at)))
    except sa.exc.SQLAlchemyError as error:
        raise _away(database_url, error) from error
    finally:
        engine.dispose()
    return Newest(None if report is None else json.loads(report), received)


def page(database_url: str, name: str) -> bytes | None:
    """Evidently's page of the newest result, gzip; None: it has none of this name.

    Raises:
        Unavailable: the database does not answer.
    """
    query = sa.select(PAGES.c.html).where(PAGES.c.name == name).order_by(PAGES.c.report_id.desc()).limit(1)
    engine = _open(database_url)
    try:
        with engine.connect() as connection:
            there = sa.inspect(connection).has_table(PAGES.name)
            return connection.scalar(query) if there else None
    except sa.exc.SQLAlchemyError as error:
        raise _away(database_url, error) from error
    finally:
        engine.dispose()


def _open(url: str) -> sa.Engine:
    try:
        address = sa.make_url(url)
        if address.get_backend_name() == "postgresql":
            missing = {name: value for name, value in PATIENCE.items() if name not in address.query}
            url = address.update_query_dict(missing).render_as_string(hide_password=False)
        return connect(url)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        raise _away(url, error) from error


def _away(url: str, error: Exception) -> Unavailable:
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return Unavailable(
        f"the prediction log `{hide_password(url)}` must answer, got: {cause}; "
        "correct WINDSOCK_DATABASE_URL or the database"
    )
