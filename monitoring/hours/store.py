"""Counted hours in the log's database, and who counts just now."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from contracts.errors import DataError
from monitoring.hours.hour import Hour, decode, encode
from monitoring.log.sample import Clock
from monitoring.log.watching import HOURS, LEASES, METADATA

LEASE_SECONDS: Final = 300  # without a sign of life of who counts; then another one goes on
_h: Final = HOURS.c


class Key(NamedTuple):
    """One hour of one model in one role."""

    digest: str
    role: str
    hour: int


def counted(connection: sa.Connection, clock: Clock, first: int) -> dict[Key, int]:
    """Requests of each hour from `first` on, when it was counted."""
    query = sa.select(_h.digest, _h.role, _h.hour, _h.requests).where((_h.clock == clock) & (_h.hour >= first))
    return {Key(digest, role, hour): requests for digest, role, hour, requests in connection.execute(query)}


def write_hours(engine: sa.Engine, clock: Clock, requests: Mapping[Key, int], hours: Iterable[Hour]) -> None:
    """Put counted hours in the place of what was known of them, in one transaction.

    Args:
        requests: of the hours that were counted; one that has no `Hour` has no row any more, and goes.
    """
    found = {Key(hour.digest, hour.role, hour.hour): hour for hour in hours}
    with engine.begin() as connection:
        for key in requests:
            same = (_h.clock == clock) & (_h.digest == key.digest) & (_h.role == key.role) & (_h.hour == key.hour)
            connection.execute(sa.delete(HOURS).where(same))
        rows = [
            {"clock": clock, **key._asdict(), "requests": requests.get(key, 0), "payload": encode(hour)}
            for key, hour in found.items()
        ]
        if rows:
            connection.execute(sa.insert(HOURS), rows)


def read_hours(engine: sa.Engine, clock: Clock, digest: str, role: str, first: int, last: int) -> list[Hour]:
    """Hours of one model in one role, `first` to `last` inclusive, in order. What cannot be read is left out."""
    chosen = (_h.clock == clock) & (_h.digest == digest) & (_h.role == role) & _h.hour.between(first, last)
    query = sa.select(_h.payload).where(chosen).order_by(_h.hour)
    with engine.connect() as connection:
        payloads: Sequence[bytes] = connection.scalars(query).all()
    return [hour for payload in payloads if (hour := _decoded(payload)) is not None]


def drop_unreadable(engine: sa.Engine, clock: Clock, first: int) -> None:
    """Forget hours of another version's format, so that they are counted again."""
    query = sa.select(_h.digest, _h.role, _h.hour, _h.payload).where((_h.clock == clock) & (_h.hour >= first))
    with engine.connect() as connection:
        lost = [Key(d, r, h) for d, r, h, payload in connection.execute(query.limit(1)) if _decoded(payload) is None]
    if lost:
        with engine.begin() as connection:
            connection.execute(sa.delete(HOURS).where(_h.clock == clock))


@contextmanager
def lease(engine: sa.Engine, name: str) -> Iterator["Lease | None"]:
    """The right to count; None: another one has it. It ends by itself `LEASE_SECONDS` after its last renewal."""
    METADATA.create_all(engine)
    taken = Lease(engine, name, str(uuid4()))
    if not taken.renew():
        yield None
        return
    try:
        yield taken
    finally:
        taken.give_back()


class Lease:
    """Held by one process; `renew` says whether it still is."""

    def __init__(self, engine: sa.Engine, name: str, holder: str) -> None:
        self._engine, self._name, self._holder = engine, name, holder

    def renew(self) -> bool:
        now = int(datetime.now(UTC).timestamp())
        row, until = LEASES.c, now + LEASE_SECONDS
        mine = (row.name == self._name) & ((row.holder == self._holder) | (row.until < now))
        try:
            with self._engine.begin() as connection:
                changed = connection.execute(sa.update(LEASES).where(mine).values(holder=self._holder, until=until))
                if not changed.rowcount:
                    connection.execute(sa.insert(LEASES).values(name=self._name, holder=self._holder, until=until))
        except sa.exc.IntegrityError:  # the row is another one's
            return False
        return True

    def give_back(self) -> None:
        row = LEASES.c
        with self._engine.begin() as connection:
            connection.execute(sa.delete(LEASES).where((row.name == self._name) & (row.holder == self._holder)))


def _decoded(payload: bytes) -> Hour | None:
    try:
        return decode(payload)
    except DataError:
        return None
