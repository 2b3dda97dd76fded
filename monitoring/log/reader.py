"""Reads the prediction log, rows joined with their labels, into arrays."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from contracts.errors import DataError
from contracts.schema import Schema
from monitoring.log.tables import LABELS, PREDICTIONS, check_tables, connect, hide_password

_decode_numbers = msgspec.json.Decoder(list[float | None]).decode
_decode_strings = msgspec.json.Decoder(list[str]).decode


@dataclass(frozen=True, slots=True)
class Predictions:
    """Logged rows and their labels, by `event_time`, then key. Instants are UTC.

    Rows that another schema's width left out are counted in `other_inputs`, and are in no array.
    """

    request_id: NDArray[np.object_]  # [n] of str
    digest: NDArray[np.object_]  # [n] of str
    protocol: NDArray[np.object_]  # [n] of str
    event_time: NDArray[np.datetime64]  # [n], microseconds, the caller's clock
    received_at: NDArray[np.datetime64]  # [n], microseconds, the service's clock
    numeric: NDArray[np.float32]  # [n, numbers of the schema], NaN is missing
    category: NDArray[np.object_]  # [n, categories of the schema] of str
    score: NDArray[np.float64]  # [n]
    label: NDArray[np.float64]  # [n], 0 or 1; NaN: no label yet
    duration_us: NDArray[np.int64]  # [n]
    other_inputs: int


def read_predictions(database_url: str, first: datetime, last: datetime, schema: Schema | None = None) -> Predictions:
    """Rows with `first <= event_time < last` (UTC without a zone).

    Args:
        schema: rows of models with another number of features are left out and counted; None: there may be none.

    Raises:
        DataError: there is no prediction log at this address, or rows of several schemas where one is expected.
    """
    moment = PREDICTIONS.c.event_time
    return _read(database_url, sa.select(PREDICTIONS).where(moment >= first, moment < last).subquery(), schema)


def read_newest(database_url: str, digest: str, since: datetime, rows: int, schema: Schema) -> Predictions:
    """The `rows` newest that this model answered, by arrival, none that arrived before `since` (UTC without a zone).

    Raises:
        DataError: there is no prediction log at this address.
    """
    p = PREDICTIONS.c
    newest = (
        sa.select(PREDICTIONS)
        .where(p.digest == digest, p.received_at >= since)
        .order_by(p.received_at.desc(), p.request_id, p.row)
        .limit(rows)
    )
    return _read(database_url, newest.subquery(), schema)


def newest_models(database_url: str, rows: int) -> set[str]:
    """Digests of the models that gave the `rows` newest answers, by arrival. Empty: the log is.

    Raises:
        DataError: there is no prediction log at this address.
    """
    p = PREDICTIONS.c
    return {digest for (digest,) in _rows(database_url, sa.select(p.digest).order_by(p.received_at.desc()).limit(rows))}


def newest_before(database_url: str, moment: datetime) -> datetime | None:
    """The last `event_time` before `moment`; None: there is none.

    Raises:
        DataError: there is no prediction log at this address.
    """
    found: datetime | None
    ((found,),) = _rows(
        database_url, sa.select(sa.func.max(PREDICTIONS.c.event_time)).where(PREDICTIONS.c.event_time < moment)
    )
    return found


def _read(database_url: str, chosen: sa.Subquery, schema: Schema | None) -> Predictions:
    p, la = chosen.c, LABELS.c
    query = (
        sa.select(
            *(p.request_id, p.digest, p.protocol, p.event_time, p.received_at, p.numeric, p.category, p.score),
            *(la.value, p.duration_us),
        )
        .outerjoin_from(chosen, LABELS, sa.and_(p.request_id == la.request_id, p.row == la.row))
        .order_by(p.event_time, p.request_id, p.row)
    )
    found = [(_decode_numbers(row.numeric), _decode_strings(row.category), row) for row in _rows(database_url, query)]
    if schema is None:
        widths = {(len(numeric), len(category)) for numeric, category, _ in found}
    else:
        widths = {(len(schema.numeric), len(schema.category))}
    rows = [row for row in found if (len(row[0]), len(row[1])) in widths]
    if len(widths) > 1:
        raise DataError(
            f"rows that are read together must be of one schema, got {sorted(widths)} numbers and categories; "
            "ask for those of one"
        )
    numeric_width, category_width = next(iter(widths), (0, 0))
    values = [row for _, _, row in rows]
    return Predictions(
        request_id=np.array([row.request_id for row in values], object),
        digest=np.array([row.digest for row in values], object),
        protocol=np.array([row.protocol for row in values], object),
        event_time=np.array([row.event_time for row in values], "datetime64[us]"),
        received_at=np.array([row.received_at for row in values], "datetime64[us]"),
        numeric=np.array([numeric for numeric, _, _ in rows], np.float32).reshape(len(rows), numeric_width),
        category=np.array([category for _, category, _ in rows], object).reshape(len(rows), category_width),
        score=np.array([row.score for row in values], np.float64),
        label=np.array([row.value for row in values], np.float64),  # NULL becomes NaN
        duration_us=np.array([row.duration_us for row in values], np.int64),
        other_inputs=len(found) - len(rows),
    )


def _rows(database_url: str, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
    engine = connect(database_url)
    try:
        with engine.connect() as connection:
            return connection.execute(query).all()
    except sa.exc.SQLAlchemyError as error:
        _refuse_old_tables(engine)
        raise DataError(
            f"`{hide_password(database_url)}` must be a prediction log, got: {getattr(error, 'orig', error)}; "
            "start the service once to make it"
        ) from error
    finally:
        engine.dispose()


def _refuse_old_tables(engine: sa.Engine) -> None:
    """A question that failed because an earlier version made the tables is answered with the way out."""
    with suppress(sa.exc.SQLAlchemyError), engine.connect() as connection:
        check_tables(connection)
