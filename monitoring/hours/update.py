"""Brings the counted hours up to the log: what is new is counted, and what changed since is counted again.

An hour has changed when the log holds another number of its requests than when it was counted (rows that waited in a
spool come late, under their old instants), or when labels arrived that name its rows. Both are told by counting, so
nothing must be remembered but the numbers, and a run that is killed at any moment leaves work, never an error.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np
import sqlalchemy as sa

from monitoring.hours.count import Rows, count
from monitoring.hours.hour import Hour
from monitoring.hours.store import Key, counted, drop_unreadable, lease, write_hours
from monitoring.hours.yardstick import Yardstick
from monitoring.log.database import opened
from monitoring.log.reader import Predictions, read_where
from monitoring.log.sample import Clock
from monitoring.log.schema import LABELS, PREDICTIONS
from monitoring.log.watching import LABEL_HOURS
from monitoring.scorer.to_date import WEEK

HOUR_US: Final = 3_600_000_000
TOGETHER: Final = 200_000  # rows that are read at once: some 150 MB
_p: Final = PREDICTIONS.c
_l: Final = LABELS.c
logger = logging.getLogger(__name__)


def update(
    database_url: str,
    yardstick_of: Callable[[str, int], Yardstick | None],
    clock: Clock,
    first: int,
    last: int,
    late_after: timedelta,
) -> int | None:
    """Count what is new or has changed of the hours `first` to `last`, inclusive. Returns how many hours that were.

    Args:
        yardstick_of: of a digest and an hour; None: the model cannot be had, and its hours stay uncounted.
        late_after: from its outcome on; a label that comes later is a late one.

    Returns:
        None: another monitor counts just now, and nothing was done.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer. Hours that were written stay.
        DataError: there is no prediction log of this version.
    """
    with opened(database_url) as engine, lease(engine, f"hours-{clock}") as held:
        if held is None:
            return None
        drop_unreadable(engine, clock, first)
        with engine.connect() as connection:
            logged = _requests(connection, clock, first, last)
            known = counted(connection, clock, first)
            labels, changed = _label_hours(connection, clock, first)
            relabelled = _named(connection, clock, changed)
            late = _late(connection, first, last, late_after) if clock == "arrival" else {}
        dirty = {key for key in logged if known.get(key) != logged[key][0] or key in relabelled}
        gone = {key for key in known if key not in logged and key.hour <= last}
        write_hours(engine, clock, dict.fromkeys(gone, 0), ())
        done = 0
        for keys in _batches(sorted(dirty), logged):
            hours = _count(database_url, yardstick_of, clock, keys)
            write_hours(engine, clock, {key: logged[key][0] for key in keys}, _with_ids(hours, logged, late))
            done += len(keys)
            if not held.renew():
                return done  # somebody took over, after a pause of minutes
        _keep_label_hours(engine, clock, labels)
    return done


def _instant(clock: Clock) -> sa.ColumnElement[int]:
    return _p.event_us if clock == "event" else _p.received_us


def _hour(clock: Clock) -> sa.ColumnElement[int]:
    """Integer division in both databases."""
    return sa.cast(sa.func.floor(_instant(clock) / sa.literal(HOUR_US)), sa.Integer)


def _requests(connection: sa.Connection, clock: Clock, first: int, last: int) -> dict[Key, tuple[int, int, int]]:
    """Requests, rows, and requests under an id that another one of the hour has, as the log holds them now."""
    instant, hour = _instant(clock), _hour(clock)
    chosen = (instant >= first * HOUR_US) & (instant < (last + 1) * HOUR_US)
    numbers = (sa.func.count(), sa.func.sum(_p.rows), sa.func.count() - sa.func.count(_p.request_id.distinct()))
    query = sa.select(_p.digest, _p.role, hour, *numbers).where(chosen).group_by(_p.digest, _p.role, hour)
    return {
        Key(digest, role, int(at)): (int(requests), int(rows), int(repeated))
        for digest, role, at, requests, rows, repeated in connection.execute(query)
    }


def _label_hours(connection: sa.Connection, clock: Clock, first: int) -> tuple[dict[int, int], list[int]]:
    """Labels by the hour of their arrival, from the hour `first` on, and the hours where the number is a new one.

    With the clock of events a label comes whenever it is sent, so all that arrived are counted.
    """
    hour = sa.cast(sa.func.floor(_l.received_us / sa.literal(HOUR_US)), sa.Integer)
    query = sa.select(hour, sa.func.count()).group_by(hour)
    if clock == "arrival":
        query = query.where(_l.received_us >= first * HOUR_US)
    found = {int(at): int(labels) for at, labels in connection.execute(query)}
    known = sa.select(LABEL_HOURS.c.hour, LABEL_HOURS.c.labels).where(LABEL_HOURS.c.clock == clock)
    before = {row.hour: row.labels for row in connection.execute(known)}
    return found, [at for at, labels in found.items() if before.get(at) != labels]


def _named(connection: sa.Connection, clock: Clock, hours: list[int]) -> set[Key]:
    """Hours whose rows are named by labels that arrived in these hours."""
    named: set[Key] = set()
    for at in hours:
        arrived = _l.received_us.between(at * HOUR_US, (at + 1) * HOUR_US - 1)
        joined = sa.join(PREDICTIONS, LABELS, _p.request_id == _l.request_id)
        query = sa.select(_p.digest, _p.role, _hour(clock)).select_from(joined).where(arrived).distinct()
        named |= {Key(digest, role, int(hour)) for digest, role, hour in connection.execute(query)}
    return named


def _late(connection: sa.Connection, first: int, last: int, after: timedelta) -> dict[Key, int]:
    """Rows none of whose labels came in time. A replay's labels come when they are sent, so it has none."""
    other = LABELS.alias()
    waited, limit = sa.func.coalesce(_l.received_us - _l.outcome_us, 0), after // timedelta(microseconds=1)
    same_row = (other.c.request_id == _l.request_id) & (other.c.row == _l.row)
    in_time = sa.exists().where(same_row, sa.func.coalesce(other.c.received_us - other.c.outcome_us, 0) <= limit)
    chosen = (waited > limit) & ~in_time & _p.received_us.between(first * HOUR_US, (last + 1) * HOUR_US - 1)
    joined, hour = sa.join(PREDICTIONS, LABELS, _p.request_id == _l.request_id), _hour("arrival")
    rows = sa.select(_p.digest, _p.role, hour.label("hour"), _l.request_id, _l.row).select_from(joined).where(chosen)
    each = rows.distinct().subquery()
    query = sa.select(each.c.digest, each.c.role, each.c.hour, sa.func.count())
    query = query.group_by(each.c.digest, each.c.role, each.c.hour)
    return {Key(digest, role, int(at)): int(count) for digest, role, at, count in connection.execute(query)}


def _keep_label_hours(engine: sa.Engine, clock: Clock, labels: Mapping[int, int]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(LABEL_HOURS).where(LABEL_HOURS.c.clock == clock))
        if labels:
            rows = [{"clock": clock, "hour": hour, "labels": number} for hour, number in labels.items()]
            connection.execute(sa.insert(LABEL_HOURS), rows)


def _batches(keys: list[Key], logged: Mapping[Key, tuple[int, int, int]]) -> Iterator[list[Key]]:
    """Hours of one model and role that are read at once: a bounded number of rows, or one hour."""
    batch: list[Key] = []
    rows = 0
    for key in keys:
        size = logged[key][1]
        if batch and (rows + size > TOGETHER or _together(key) != _together(batch[0])):
            yield batch
            batch, rows = [], 0
        batch.append(key)
        rows += size
    if batch:
        yield batch


def _together(key: Key) -> tuple[str, str, int]:
    """Hours with the same of this may be counted at once: a week has one challenger."""
    return key.digest, key.role, key.hour // WEEK


def _count(
    database_url: str, yardstick_of: Callable[[str, int], Yardstick | None], clock: Clock, keys: list[Key]
) -> list[Hour]:
    digest, role, begin = keys[0]
    end = keys[-1].hour
    yardstick = yardstick_of(digest, begin)
    if yardstick is None:
        logger.warning("model %s cannot be had: its hours are not counted", digest[:12])
        return []
    instant = _instant(clock)
    chosen = (_p.digest == digest) & (_p.role == role) & instant.between(begin * HOUR_US, (end + 1) * HOUR_US - 1)
    log = read_where(database_url, lambda query: query.where(chosen), yardstick.schema)
    rows = as_rows(log, clock)
    wanted = np.isin(rows.hour, [key.hour for key in keys])
    return count(yardstick, rows if wanted.all() else rows.take(wanted), digest, role)


def as_rows(log: Predictions, clock: Clock) -> Rows:
    """Rows of the log, of one model and role, as they are counted."""
    moment = log.event_time if clock == "event" else log.received_at
    order = np.argsort(moment, kind="stable")
    request = (
        np.cumsum(np.append(True, log.request_id[1:] != log.request_id[:-1])) if len(moment) else np.array([], int)
    )
    return Rows(
        hour=moment.astype("datetime64[h]").astype(np.int64),
        row_id=np.arange(len(moment)),
        request=request,
        numeric=log.numeric,
        category=log.category,
        score=log.score,
        label=log.label,
        late=np.zeros(len(moment), bool),
    ).take(order)


def _with_ids(hours: list[Hour], logged: Mapping[Key, tuple[int, int, int]], late: Mapping[Key, int]) -> Iterator[Hour]:
    """What only the log's keys and instants tell: rows have no id of their own."""
    for hour in hours:
        key = Key(hour.digest, hour.role, hour.hour)
        requests, _, repeated = logged[key]
        yield replace(hour, requests=requests, repeated_ids=repeated, labels_late=late.get(key, 0))
