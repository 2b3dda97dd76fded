"""PostgreSQL's rights: who owns the log, who adds to it, and who reads it.

The owner runs `windsock log migrate`, which makes two roles, or takes those that are there. Whoever logs in is one of
them, or a member:

    CREATE USER companion PASSWORD '...' IN ROLE windsock_writer;
"""

import logging
from typing import Final

import sqlalchemy as sa

from monitoring.log.database import asked, exclusively
from monitoring.log.watching import METADATA

logger = logging.getLogger(__name__)

WRITER: Final = "windsock_writer"
READER: Final = "windsock_reader"
_TABLES: Final = "predictions, labels, roles, artifacts, replicas, alembic_version"
_RESULTS: Final = "monitor_reports, monitor_pages"
_MADE: Final = ", ".join(table.name for table in METADATA.sorted_tables)
# The writer adds rows that it cannot see. What it says of the replicas replaces what it said before. The monitor is a
# reader, whose results are all that a reader may write.
_GRANTS: Final = (
    f"GRANT INSERT ON predictions, labels TO {WRITER}",
    f"GRANT SELECT ON roles, artifacts, alembic_version TO {WRITER}",
    f"GRANT SELECT, INSERT, UPDATE ON replicas TO {WRITER}",
    f"GRANT SELECT ON {_TABLES}, {_RESULTS} TO {READER}",
    f"GRANT INSERT, DELETE ON {_RESULTS} TO {READER}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON {_MADE} TO {READER}",
    f"GRANT USAGE ON SEQUENCE monitor_reports_id_seq TO {READER}",
)


def grant(engine: sa.Engine) -> None:
    """Make the roles and the monitor's own tables, and give the roles their rights; again changes nothing. Who may make
    no roles gets a warning.

    Raises:
        DataError, Unavailable: as `monitoring.log.database.asked`.
    """
    with asked(engine, exclusively) as connection:
        METADATA.create_all(connection)
        there = set(connection.scalars(sa.text("SELECT rolname FROM pg_roles WHERE rolname LIKE 'windsock\\_%'")))
        missing = [name for name in (WRITER, READER) if name not in there]
        may = connection.scalar(sa.text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"))
        if missing and not may:
            logger.warning("the owner may make no roles: make %s and migrate again", ", ".join(missing))
            return
        for name in missing:
            connection.exec_driver_sql(f"CREATE ROLE {name} NOLOGIN")
        schema = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {WRITER}, {READER}")
        for statement in _GRANTS:
            connection.exec_driver_sql(statement)
