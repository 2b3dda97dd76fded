"""Logs of earlier versions: how they are recognised and refused, and `windsock log migrate`, which renews them.

Earlier versions called the columns of labels otherwise. What they were called the caller says (`renamed`, old name ->
new name): here it is only known what labels must have.
"""

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from contracts.errors import DataError, Unavailable
from contracts.files import write_atomic
from monitoring.log.spool import SUFFIX, LabelRecord
from monitoring.log.tables import LABELS, check_tables, connect, hide_password

logger = logging.getLogger(__name__)

_MEMBERS: Final = {field.encode_name for field in msgspec.structs.fields(LabelRecord)}
_LABEL: Final = b'"type":"label"'  # as msgspec writes the tag; inside a string its quotes would be escaped
_LOCK_TIMEOUT: Final = "10s"  # of PostgreSQL, for those who read the table just now


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration changed: whether the database's columns, and the lines of how many segments."""

    database: bool
    segments: int


def refuse_old_lines(spool: Path) -> None:
    """Refuse a spool that the writer would not understand. Nothing is changed.

    Raises:
        DataError: a segment has labels of an earlier version.
    """
    for path in _segments(spool):
        try:
            with path.open("rb") as file:
                old = any(_old_label(line) is not None for line in file)
        except FileNotFoundError:  # another process has moved it to the database meanwhile
            continue
        if old:
            raise DataError(
                f"the spool `{spool}` must have labels with {', '.join(sorted(_MEMBERS))}, got others in {path.name}: "
                "an earlier version wrote them; run `windsock log migrate`"
            )


def migrate_log(database_url: str, spool: Path, renamed: Mapping[str, str]) -> Migrated:
    """Rename the columns of labels in the database and in the spool. A kill leaves each of them old or new.

    Args:
        spool: its folder; may be missing.
        renamed: old name of a column of labels -> its name now.

    Raises:
        DataError: labels that have other columns than these; what stands in the same place is left as it was.
        Unavailable: a service holds a segment of the spool, or the database takes no change.
    """
    with ExitStack() as held:
        paths = [path for path in _segments(spool) if _hold(path, held)]
        database = _rename_columns(database_url, renamed)
        segments = sum(_rewrite(path, renamed) for path in paths)
    return Migrated(database, segments)


def _segments(spool: Path) -> list[Path]:
    return sorted(spool.glob(f"*{SUFFIX}"))


def _hold(path: Path, held: ExitStack) -> bool:
    """Lock a segment as whoever adopts it does. Returns whether it is still there."""
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


def _rewrite(path: Path, renamed: Mapping[str, str]) -> bool:
    """Whether the segment had old labels. Its other lines stay as they are, a torn last one, too."""
    lines = path.read_bytes().split(b"\n")
    new = list(_renew(lines, path, renamed))
    if new == lines:
        return False
    write_atomic(path, b"\n".join(new), 0o600)
    return True


def _renew(lines: Iterable[bytes], path: Path, renamed: Mapping[str, str]) -> Iterator[bytes]:
    for line in lines:
        label = _old_label(line)
        if label is None:
            yield line
            continue
        label = {renamed.get(name, name): value for name, value in label.items()}
        if not label.keys() >= _MEMBERS:
            raise DataError(
                f"labels in `{path}` must have {', '.join(sorted(_MEMBERS))} or the names before them, got "
                f"{line[:200]!r}; correct the line or take it out"
            )
        yield msgspec.json.encode(label)


def _old_label(line: bytes) -> dict[str, Any] | None:
    """A label of an earlier version; None: another line, damaged ones included, which the writer skips by itself."""
    if _LABEL not in line:
        return None
    try:
        label = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return label if isinstance(label, dict) and not label.keys() >= _MEMBERS else None


def _rename_columns(database_url: str, renamed: Mapping[str, str]) -> bool:
    """All columns in one transaction. Returns whether there was anything to rename."""
    address = sa.make_url(database_url)
    if address.get_backend_name() == "sqlite" and not address.query and not Path(address.database or "").exists():
        return False
    engine = connect(database_url)
    try:
        with engine.begin() as connection:
            # SQLite's driver begins no transaction before a change of a table by itself.
            sqlite = engine.dialect.name == "sqlite"
            connection.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            inspector = sa.inspect(connection)
            if not inspector.has_table(LABELS.name):
                return False
            found = [column["name"] for column in inspector.get_columns(LABELS.name)]
            quote = engine.dialect.identifier_preparer.quote
            old = [name for name in found if name in renamed]
            for name in old:
                connection.exec_driver_sql(
                    f"ALTER TABLE {quote(LABELS.name)} RENAME COLUMN {quote(name)} TO {quote(renamed[name])}"
                )
            check_tables(connection)
            return bool(old)
    except sa.exc.SQLAlchemyError as error:
        raise Unavailable(
            f"the prediction log `{hide_password(database_url)}` must take a change of its tables, got: "
            f"{getattr(error, 'orig', error)}; stop what uses it and run this again"
        ) from error
    finally:
        engine.dispose()
