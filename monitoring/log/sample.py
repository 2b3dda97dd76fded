"""A bounded sample of the log's requests, day by day: what learns from months must not read all of them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import sqlalchemy as sa

from contracts.schema import Schema
from monitoring.log.reader import ANSWERS, Predictions, ask_log, read_where
from monitoring.log.schema import PREDICTIONS, from_us, to_us

Clock = Literal["arrival", "event"]  # which instant of a row is its time
_p: Final = PREDICTIONS.c
_IDS: Final = 500  # of a question


def sample_day(database_url: str, day: datetime, rows: int, schema: Schema, clock: Clock) -> list[Predictions]:
    """At most `rows` rows of the requests that somebody got an answer to within 24 hours, drawn by request.

    Requests of models of another schema are left out. The draw is the same for the same day of the same log.

    Args:
        day: first instant, UTC without a zone.

    Returns:
        Parts; none when nothing was asked that day.

    Raises:
        DataError: there is no prediction log of this version at this address.
    """
    instant = _instant(clock)
    chosen = (instant >= to_us(day)) & (instant < to_us(day + timedelta(days=1))) & _p.role.in_(ANSWERS)
    chosen &= _p.schema_hash.in_((schema.hash, ""))  # version 1 noted none
    query = sa.select(_p.id).where(chosen).order_by(_p.id)
    ids = ask_log(database_url, lambda connection: list(connection.scalars(query)))
    if len(ids) > rows:
        picked = np.random.default_rng(to_us(day) // 1_000_000).choice(len(ids), rows, replace=False)
        ids = [ids[i] for i in picked]
    parts: list[Predictions] = []
    for start in range(0, len(ids), _IDS):
        found = read_where(database_url, _only(chosen & _p.id.in_(ids[start : start + _IDS])), schema, rows)
        parts.append(found)
        rows -= len(found.score)
        if rows <= 0:
            break
    return parts


def oldest_answer(connection: sa.Connection, clock: Clock) -> datetime | None:
    """Instant of the log's oldest request, of any model, UTC without a zone; None: there is none."""
    found: int | None = connection.scalar(sa.select(sa.func.min(_instant(clock))))
    return None if found is None else from_us(found)


def _instant(clock: Clock) -> sa.ColumnElement[int]:
    return _p.event_us if clock == "event" else _p.received_us


def _only(chosen: sa.ColumnElement[bool]) -> Callable[[sa.Select[Any]], sa.Select[Any]]:
    return lambda query: query.where(chosen)
