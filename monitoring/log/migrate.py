"""`windsock log migrate`: makes the tables, or renews what an earlier version wrote, in the database and in the spool.

Version 1 noted no version, and the one before it called the columns of labels otherwise; what they were called the
caller says (`renamed`, old name -> new name). The database changes in one transaction. A segment of version 1 is
deleted once the database has all of it, under keys that its lines give: whatever is killed can be repeated.
"""

import fcntl
import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from contracts.errors import DataError, Unavailable
from contracts.files import write_atomic
from monitoring.log.database import asked, check_version, exclusively, make_folder, opened, version
from monitoring.log.insert import Fault, adding
from monitoring.log.migrations import stamp, upgrade
from monitoring.log.migrations.lines import add, decode
from monitoring.log.schema import VERSION
from monitoring.log.upkeep.access import grant
from monitoring.log.upkeep.partitions import make_partitions
from monitoring.spool.segments import BAD

logger = logging.getLogger(__name__)

OLD_SUFFIX: Final = ".jsonl"
_BATCH: Final = 1_000  # lines that are inserted at once
_VERSION_1: Final = {
    "predictions": (
        *("request_id", "row", "digest", "protocol", "event_time", "received_at", "duration_us"),
        *("numeric", "category", "score"),
    ),
    "labels": ("request_id", "row", "value", "outcome_at", "received_at"),
}


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration found and did.

    Attributes:
        found: version of the database before; None: it had no tables.
        segments: of version 1's spool that are in the database now.
        put_aside: lines of them that are no record, or that the database refuses; they stand in the spool's `bad`.
    """

    found: str | None
    segments: int
    put_aside: int


def refuse_old_spool(spool: Path) -> None:
    """Refuse a spool that has segments of version 1, which nobody reads any more. Nothing is changed.

    Raises:
        DataError: names the first, and the command that moves them.
    """
    if paths := _segments(spool):
        raise DataError(
            f"the spool `{spool}` must have segments of version {VERSION}, got {paths[0].name} of version 1; "
            "run `windsock log migrate`"
        )


def migrate_log(database_url: str, spool: Path, renamed: Mapping[str, str]) -> Migrated:
    """Make or renew the tables, and move what waits in version 1's spool. PostgreSQL's users get their rights.

    Args:
        spool: its folder; may be missing.
        renamed: old name of a column of labels -> its name in version 1.

    Raises:
        DataError: tables of a later version, or that no version made; they are as they were.
        Unavailable: a service holds a segment of the spool, or the database takes no change.
    """
    with ExitStack() as held, opened(database_url) as engine:
        paths = [path for path in _segments(spool) if _hold(path, held)]
        make_folder(engine)
        with asked(engine, exclusively) as connection:
            found = _renew_tables(connection, renamed)
        if engine.dialect.name == "postgresql":
            make_partitions(engine)
            grant(engine)
        elif found in ("", "1"):
            _shrink(engine)
        put_aside = sum(_move(engine, path, renamed) for path in paths)
    return Migrated(found, len(paths), put_aside)


def _renew_tables(connection: sa.Connection, renamed: Mapping[str, str]) -> str | None:
    """Returns the version that was found."""
    found = version(connection)
    if found == "":
        _rename_columns(connection, renamed)
        _check_version_1(connection)
        stamp(connection, "1")
    if found is None or found < VERSION:
        upgrade(connection)
    check_version(connection)
    return found


def _rename_columns(connection: sa.Connection, renamed: Mapping[str, str]) -> None:
    quote = connection.dialect.identifier_preparer.quote
    for column in sa.inspect(connection).get_columns("labels"):
        if (new := renamed.get(column["name"])) is not None:
            connection.exec_driver_sql(f"ALTER TABLE labels RENAME COLUMN {quote(column['name'])} TO {quote(new)}")


def _check_version_1(connection: sa.Connection) -> None:
    for table, expected in _VERSION_1.items():
        found = [column["name"] for column in sa.inspect(connection).get_columns(table)]
        if missing := [name for name in expected if name not in found]:
            raise DataError(
                f"the table `{table}` of the prediction log must have {', '.join(missing)}, got the columns "
                f"{', '.join(found)}: no version that this one knows made it; rename it, or give another database"
            )


def _shrink(engine: sa.Engine) -> None:
    """Give back the pages of the old tables, and let later deletions give back theirs. A full disk may refuse it."""
    with (
        suppress(sa.exc.SQLAlchemyError),
        engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection,
    ):
        connection.exec_driver_sql("VACUUM")


def _segments(spool: Path) -> list[Path]:
    return sorted(spool.glob(f"*{OLD_SUFFIX}"))


def _hold(path: Path, held: ExitStack) -> bool:
    """Lock a segment as version 1's service does. Returns whether it is still there."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    held.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Unavailable(f"`{path}` must be held by no service, got one that runs; stop it first") from error
    return path.exists()


def _move(engine: sa.Engine, path: Path, renamed: Mapping[str, str]) -> int:
    """Insert a segment's lines and delete it. Returns how many lines were put aside."""
    *lines, _ = path.read_bytes().split(b"\n")  # what follows the last end was torn by a kill, never acknowledged
    bad: list[bytes] = []
    for start in range(0, len(lines), _BATCH):
        bad += _insert(engine, lines[start : start + _BATCH], path.name, renamed)
    if bad:
        write_atomic(path.parent / BAD / path.name, b"\n".join([*bad, b""]), 0o600)
    path.unlink()
    return len(bad)


def _insert(engine: sa.Engine, lines: list[bytes], name: str, renamed: Mapping[str, str]) -> list[bytes]:
    """Returns the lines that are no record, or that the database refuses."""
    decoded = {line: decode(line, renamed) for line in lines}
    bad = [line for line in lines if decoded[line] is None]
    try:
        with adding(engine) as connection:
            add(connection, [record for record in decoded.values() if record is not None])
    except Fault as fault:
        if len(lines) > 1:
            half = len(lines) // 2
            return _insert(engine, lines[:half], name, renamed) + _insert(engine, lines[half:], name, renamed)
        logger.error("spool: the database refuses a record of %s: %s", name, fault)
        bad = lines
    if bad:
        logger.error("spool: %d lines of %s are put aside in %s/", len(bad), name, BAD)
    return bad
