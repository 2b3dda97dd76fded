"""The lines of version 1's spool: one record each, as JSON with the name of its kind."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from monitoring.log.migrations.renewing import OldRow, label, requests
from monitoring.log.schema import LABELS, PREDICTIONS


class _Prediction(msgspec.Struct, tag="prediction"):
    request_id: str
    digest: str
    protocol: str
    event_time: datetime
    received_at: datetime
    duration_us: int
    numeric: list[list[float | None]]
    category: list[list[str]]
    score: list[float]


class _Label(msgspec.Struct, tag="label"):
    request_id: str
    row: int
    value: bool
    outcome_at: datetime | None
    received_at: datetime


def decode(line: bytes, renamed: Mapping[str, str]) -> list[OldRow] | dict[str, Any] | None:
    """The rows of a prediction, or a row of version 2's `labels`; None: the line is neither.

    Args:
        renamed: name of a member of labels before version 1 -> its name since.
    """
    try:
        members = msgspec.json.decode(line, type=dict[str, Any]).items()
        found = msgspec.convert({renamed.get(name, name): value for name, value in members}, _Prediction | _Label)
        if isinstance(found, _Label):
            return label(found.request_id, found.row, found.value, found.outcome_at, found.received_at)
        return list(_rows(found))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        return None


def add(connection: sa.Connection, lines: Iterable[list[OldRow] | dict[str, Any]]) -> None:
    """Add records as version 1 did: of the rows under one request id and number the first one stays."""
    labels, rows = [], dict[tuple[str, int], OldRow]()
    for line in lines:
        if isinstance(line, dict):
            labels.append(line)
        else:
            for row in line:
                rows.setdefault((row.request_id, row.row), row)
    there = _there(connection, {name for name, _ in rows})
    new = [rows[key] for key in sorted(rows) if key not in there]
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name]
    for table, values in ((PREDICTIONS, list(requests(new))), (LABELS, labels)):
        if values:
            connection.execute(insert(table).on_conflict_do_nothing(), values)


def _there(connection: sa.Connection, request_ids: Iterable[str]) -> set[tuple[str, int]]:
    p = PREDICTIONS.c
    found = connection.execute(sa.select(p.request_id, p.first_row, p.rows).where(p.request_id.in_(list(request_ids))))
    return {(name, first + i) for name, first, rows in found for i in range(rows)}


def _rows(found: _Prediction) -> Iterator[OldRow]:
    for i, (numeric, category, score) in enumerate(zip(found.numeric, found.category, found.score, strict=True)):
        yield OldRow(
            found.request_id, i, found.digest, found.protocol, found.event_time, found.received_at, found.duration_us,
            numeric, category, score,
        )  # fmt: skip
