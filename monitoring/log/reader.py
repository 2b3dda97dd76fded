"""Reads the prediction log, rows joined with their labels, into arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from contracts.errors import DataError
from contracts.features import CATEGORY, NUMERIC
from monitoring.log.tables import LABELS, PREDICTIONS, connect, hide_password

_decode_numbers = msgspec.json.Decoder(list[float | None]).decode
_decode_strings = msgspec.json.Decoder(list[str]).decode


@dataclass(frozen=True, slots=True)
class Predictions:
    """Logged rows and their labels, by `event_time`, then key. Instants are UTC."""

    request_id: NDArray[np.object_]  # [n] of str
    digest: NDArray[np.object_]  # [n] of str
    protocol: NDArray[np.object_]  # [n] of str
    event_time: NDArray[np.datetime64]  # [n], microseconds, the caller's clock
    received_at: NDArray[np.datetime64]  # [n], microseconds, the service's clock
    numeric: NDArray[np.float32]  # [n, len(NUMERIC)], NaN is missing
    category: NDArray[np.object_]  # [n, len(CATEGORY)] of str
    score: NDArray[np.float64]  # [n]
    late: NDArray[np.float64]  # [n], 0 or 1; NaN: no label yet
    duration_us: NDArray[np.int64]  # [n]


def read_predictions(database_url: str, first: datetime, last: datetime) -> Predictions:
    """Rows with `first <= event_time < last` (UTC without a zone).

    Raises:
        DataError: there is no prediction log at this address.
    """
    moment = PREDICTIONS.c.event_time
    return _read(database_url, sa.select(PREDICTIONS).where(moment >= first, moment < last).subquery())


def read_newest(database_url: str, digest: str, since: datetime, rows: int) -> Predictions:
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
    return _read(database_url, newest.subquery())


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


def _read(database_url: str, chosen: sa.Subquery) -> Predictions:
    p, la = chosen.c, LABELS.c
    query = (
        sa.select(
            *(p.request_id, p.digest, p.protocol, p.event_time, p.received_at, p.numeric, p.category, p.score),
            *(la.late, p.duration_us),
        )
        .outerjoin_from(chosen, LABELS, sa.and_(p.request_id == la.request_id, p.row == la.row))
        .order_by(p.event_time, p.request_id, p.row)
    )
    rows = _rows(database_url, query)
    columns = list(zip(*rows, strict=True)) if rows else [()] * 10
    return Predictions(
        request_id=np.array(columns[0], object),
        digest=np.array(columns[1], object),
        protocol=np.array(columns[2], object),
        event_time=np.array(columns[3], "datetime64[us]"),
        received_at=np.array(columns[4], "datetime64[us]"),
        numeric=np.array([_decode_numbers(text) for text in columns[5]], np.float32).reshape(-1, len(NUMERIC)),
        category=np.array([_decode_strings(text) for text in columns[6]], object).reshape(-1, len(CATEGORY)),
        score=np.array(columns[7], np.float64),
        late=np.array(columns[8], np.float64),  # NULL becomes NaN
        duration_us=np.array(columns[9], np.int64),
    )


def _rows(database_url: str, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
    engine = connect(database_url)
    try:
        with engine.connect() as connection:
            return connection.execute(query).all()
    except sa.exc.SQLAlchemyError as error:
        raise DataError(
            f"`{hide_password(database_url)}` must be a prediction log, got: {getattr(error, 'orig', error)}; "
            "start the service once to make it"
        ) from error
    finally:
        engine.dispose()
