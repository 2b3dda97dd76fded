"""What version 1 wrote, as version 2 says it: of its tables, and of the lines of JSON in its spool.

Version 1 kept a row a row of features under (request id, row). When a caller used one id twice, the rows that the
first request had not were filed under it, too. They differ in their times, so they become a request of their own here,
whose first row has the number it had: labels still name it.
"""

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import sqlalchemy as sa

from monitoring.log.schema import DAY_US, FORMAT, LABELS, PREDICTIONS

_BATCH: Final = 2_000  # rows that are written at once
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OLD: Final = sa.MetaData()
_OLD_PREDICTIONS: Final = sa.Table(
    "predictions_1",
    _OLD,
    *(sa.Column("request_id", sa.String), sa.Column("row", sa.Integer), sa.Column("digest", sa.String)),
    *(sa.Column("protocol", sa.String), sa.Column("event_time", sa.DateTime), sa.Column("received_at", sa.DateTime)),
    *(sa.Column("duration_us", sa.BigInteger), sa.Column("numeric", sa.Text), sa.Column("category", sa.Text)),
    sa.Column("score", sa.Double),
)
_OLD_LABELS: Final = sa.Table(
    "labels_1",
    _OLD,
    *(sa.Column("request_id", sa.String), sa.Column("row", sa.Integer), sa.Column("value", sa.Boolean)),
    *(sa.Column("outcome_at", sa.DateTime), sa.Column("received_at", sa.DateTime)),
)
_decode_numbers = msgspec.json.Decoder(list[float | None]).decode
_decode_strings = msgspec.json.Decoder(list[str]).decode


class OldRow(NamedTuple):
    """A row of version 1's `predictions`, arrays decoded. Times are UTC without a zone."""

    request_id: str
    row: int
    digest: str
    protocol: str
    event_time: datetime
    received_at: datetime
    duration_us: int
    numeric: list[float | None]
    category: list[str]
    score: float


def move(connection: sa.Connection) -> None:
    """Copy what `predictions_1` and `labels_1` hold into the tables of version 2."""
    order = (_OLD_PREDICTIONS.c.request_id, _OLD_PREDICTIONS.c.row)
    for batch in _batches(requests(map(_old_row, _stream(connection, sa.select(_OLD_PREDICTIONS).order_by(*order))))):
        connection.execute(sa.insert(PREDICTIONS), batch)
    old = _stream(connection, sa.select(_OLD_LABELS))
    for batch in _batches(label(r.request_id, r.row, r.value, r.outcome_at, r.received_at) for r in old):
        connection.execute(sa.insert(LABELS), batch)


def _old_row(found: sa.Row[Any]) -> OldRow:
    values = found._asdict()
    return OldRow(**values | {"numeric": _decode_numbers(found.numeric), "category": _decode_strings(found.category)})


def requests(rows: Iterable[OldRow]) -> Iterator[dict[str, Any]]:
    """Rows of version 2's `predictions`.

    Args:
        rows: in the order of request id and row.
    """
    for (_, first, *_), group in itertools.groupby(_numbered(rows), key=lambda pair: pair[0]):
        together = [row for _, row in group]
        one = together[0]
        numeric = np.array([row.numeric for row in together], "<f4")  # None becomes NaN
        strings = [value.replace("\0", "\ufffd") for row in together for value in row.category]
        received_us = microseconds(one.received_at)
        yield {
            "day": received_us // DAY_US,
            "received_us": received_us,
            "id": f"{one.request_id}+{first}" if first else one.request_id,
            "digest": one.digest,
            "request_id": one.request_id,
            "first_row": first,
            "role": "champion",
            "schema_hash": "",
            "format": FORMAT,
            "protocol": one.protocol,
            "caller": "",
            "event_us": microseconds(one.event_time),
            "duration_us": one.duration_us,
            "rows": len(together),
            "numeric": numeric.tobytes(),
            "category": "\0".join(strings).encode(),
            "score": np.array([row.score for row in together], "<f4").tobytes(),
        }


def label(request_id: str, row: int, value: bool, outcome_at: datetime | None, received_at: datetime) -> dict[str, Any]:
    """A row of version 2's `labels`."""
    return {
        "request_id": request_id,
        "row": row,
        "received_us": microseconds(received_at),
        "id": f"{request_id}+{row}",
        "value": value,
        "outcome_us": None if outcome_at is None else microseconds(outcome_at),
        "caller": "",
    }


def microseconds(moment: datetime) -> int:
    """Since 1970. Without a zone it is UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def _numbered(rows: Iterable[OldRow]) -> Iterator[tuple[tuple[Any, ...], OldRow]]:
    """Each row with what the rows of its request have in common, their first number among it."""
    last: tuple[Any, ...] = ()
    first = expected = 0
    for row in rows:
        common = (row.request_id, *row[2:7], len(row.numeric), len(row.category))
        if common != last or row.row != expected:
            first = row.row
        last, expected = common, row.row + 1
        yield (row.request_id, first, *common), row


def _stream(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    yield from connection.execute(query.execution_options(yield_per=_BATCH))


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rows = iter(rows)
    while batch := list(itertools.islice(rows, _BATCH)):
        yield batch
