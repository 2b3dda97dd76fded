"""Alembic's migrations of the prediction log, for SQLite and PostgreSQL.

versions/version_1.py   the tables as release 0.2 made them
versions/version_2.py   one row a request and model; moves what version 1 holds

They run inside the caller's transaction, so a kill leaves the database as it was.
"""

from pathlib import Path
from typing import Any

import sqlalchemy as sa


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Bring the tables to this version. Those without a version must be stamped first."""
    from alembic import command  # loaded where there is something to make: a companion that starts again has no need

    command.upgrade(_config(connection), to)


def stamp(connection: sa.Connection, revision: str) -> None:
    """Note that the tables are of this version, and change nothing."""
    from alembic import command

    command.stamp(_config(connection), revision)


def _config(connection: sa.Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
