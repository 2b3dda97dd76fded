"""The monitor's results in the prediction log's database, for `windsock monitor serve` and for anyone with SQL.

A result and its pages are written in one transaction. The newest result's pages are kept, and the last `HISTORY`
results without theirs: a week of hourly runs, some 20 MB at most.
"""

import gzip
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
import sqlalchemy as sa

from contracts.errors import DataError, Unavailable
from contracts.reports import decode_report, encode_report
from contracts.reports.monitoring import Monitoring
from monitoring.log.database import connect, hide_password
from monitoring.log.newest import newest_arrival
from monitoring.log.schema import PREDICTIONS
from monitoring.monitor.shown.frame import framed
from monitoring.monitor.shown.history import Found, Spell, spells

HISTORY: Final = 168  # results that are kept: a week of hourly runs
# Time-outs of PostgreSQL's client for a server that does not answer: the default is to wait for minutes.
TIMEOUTS: Final = {"connect_timeout": "5", "tcp_user_timeout": "10000"}  # seconds, milliseconds
METADATA: Final = sa.MetaData()  # tables of the monitor: the service makes and knows only those of the log
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
    """What the database says now. Instants are UTC without a zone.

    Attributes:
        report: None: the monitor has not run, or `unreadable`.
        received_at: of the newest prediction; None: the log is empty.
        ran_at: when the monitor made its newest report, readable or not; None: never.
        unreadable: why the newest report cannot be read, such as another format; None: it can, or is not there.
    """

    report: Monitoring | None
    received_at: datetime | None
    ran_at: datetime | None = None
    unreadable: str | None = None


def save(database_url: str, report: Monitoring, pages: dict[str, bytes]) -> None:
    """Write a result and its pages, and drop what is older than `HISTORY` results.

    Raises:
        Unavailable: the database takes no writes. It then holds what it held.
    """
    engine = _open(database_url)
    try:
        METADATA.create_all(engine)
        with engine.begin() as connection:
            when = datetime.fromisoformat(report.generated_at).astimezone(UTC).replace(tzinfo=None)
            text = encode_report(report).decode()
            written = connection.execute(sa.insert(REPORTS).values(generated_at=when, report=text))
            (id_,) = written.inserted_primary_key or (0,)
            connection.execute(sa.delete(PAGES).where(PAGES.c.report_id < id_))
            for name, html in pages.items():
                packed = gzip.compress(framed(html, report, name), compresslevel=6, mtime=0)
                connection.execute(sa.insert(PAGES).values(report_id=id_, name=name, html=packed))
            connection.execute(sa.delete(REPORTS).where(REPORTS.c.id <= id_ - HISTORY))
    except sa.exc.SQLAlchemyError as error:
        raise _unreachable(database_url, error) from error
    finally:
        engine.dispose()


def newest(database_url: str) -> Newest:
    """The newest report and the newest prediction's arrival.

    Raises:
        Unavailable: the database does not answer.
    """
    engine = _open(database_url)
    try:
        with engine.connect() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            row = received = None
            if REPORTS.name in tables:
                row = connection.execute(sa.select(REPORTS).order_by(REPORTS.c.id.desc()).limit(1)).first()
            if PREDICTIONS.name in tables:
                received = newest_arrival(connection)
    except sa.exc.SQLAlchemyError as error:
        raise _unreachable(database_url, error) from error
    finally:
        engine.dispose()
    if row is None:
        return Newest(None, received)
    try:
        report = decode_report(row.report.encode(), Monitoring, f"{REPORTS.name}.report")
    except DataError as error:
        why = f"the newest result cannot be read, and `windsock monitor` makes a new one: {error}"
        return Newest(None, received, row.generated_at, why)
    return Newest(report, received, row.generated_at)


def history(database_url: str) -> tuple[Spell, ...]:
    """Incidents of the results that are kept, open ones first. A result that cannot be read is left out.

    Raises:
        Unavailable: the database does not answer.
    """
    engine = _open(database_url)
    try:
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table(REPORTS.name):
                return ()
            rows = connection.execute(sa.select(REPORTS.c.generated_at, REPORTS.c.report).order_by(REPORTS.c.id))
            return spells((moment, found) for moment, text in rows if (found := _found(text)) is not None)
    except sa.exc.SQLAlchemyError as error:
        raise _unreachable(database_url, error) from error
    finally:
        engine.dispose()


def _found(text: str) -> Found | None:
    try:
        return msgspec.json.decode(text.encode(), type=Found)
    except msgspec.DecodeError:
        return None


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
        raise _unreachable(database_url, error) from error
    finally:
        engine.dispose()


def _open(url: str) -> sa.Engine:
    try:
        address = sa.make_url(url)
        if address.get_backend_name() == "postgresql":
            missing = {name: value for name, value in TIMEOUTS.items() if name not in address.query}
            url = address.update_query_dict(missing).render_as_string(hide_password=False)
        return connect(url)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> Unavailable:
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return Unavailable(
        f"the prediction log `{hide_password(url)}` must answer, got: {cause}; "
        "correct WINDSOCK_DATABASE_URL or the database"
    )
