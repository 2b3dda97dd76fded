"""The models that the log's newest rows are of: whoever answers is watched, whatever the store's pointer says."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa

from contracts.artifact import Artifact, verify
from contracts.errors import ArtifactInvalid
from contracts.objectives import Objectives
from contracts.reports.watching import Apart, WatchedModel
from contracts.store import verify_files
from monitoring.hours.store import read_hours
from monitoring.hours.update import HOUR_US, update
from monitoring.hours.yardstick import Yardstick
from monitoring.log.database import opened
from monitoring.log.desired import get_artifact
from monitoring.log.reader import ask_log
from monitoring.log.sample import Clock
from monitoring.log.schema import PREDICTIONS, from_us, to_us
from monitoring.scorer.to_date import Challengers, load_refits, refit
from monitoring.watch.apart import tell_apart
from monitoring.watch.drift import describe
from monitoring.watch.look import DAYS, hour_of, look
from monitoring.watch.timeline import WEEKS

WEEK_HOURS: Final = 168
MOST: Final = 3  # models side by side: champion, challenger, shadow
_EPOCH: Final = datetime(1970, 1, 1)
AHEAD: Final = timedelta(days=1)  # by how much a caller's clock may be ahead of ours
_p: Final = PREDICTIONS.c
logger = logging.getLogger(__name__)


def watch(
    database_url: str, store: Path, public_key: Path, objectives: Objectives, clock: Clock, now: datetime
) -> tuple[WatchedModel, ...]:
    """Bring the hours up to date, and look at each model that answered within their time, the newest first.

    Args:
        store: of released models; what is not there is asked of the log's database.
        now: UTC without a zone, by `clock`.

    Raises:
        DataError: no prediction log of this version at this address.
        Unavailable: the database does not answer.
    """
    last = hour_of(now)
    first = last - DAYS * 24 + 1
    told: dict[str, Apart] = {}  # by schema: rows are the same whoever scored them
    yardsticks = Yardsticks(database_url, store, public_key, clock, now)
    # A replay comes at once: what would have been counted week by week is counted now, for the time line.
    counted = min(first, last - (WEEKS + 1) * WEEK_HOURS) if clock == "event" else first
    late_after = timedelta(hours=objectives.label_delay_hours)
    if update(database_url, yardsticks.at, clock, counted, last, late_after) is None:
        logger.info("another monitor counts just now; what it has counted so far is looked at")
    found = []
    for digest, role in _served(database_url, clock, first, last)[:MOST]:
        if (yardstick := yardsticks.of(digest)) is None:
            continue
        with opened(database_url) as engine:
            hours = read_hours(engine, clock, digest, role, first, last)
        drift = describe(hours, yardstick, last)
        if (schema := yardstick.schema).hash not in told:
            told[schema.hash] = tell_apart(database_url, schema, yardstick.names, clock, now)
        drift = msgspec.structs.replace(drift, apart=told[schema.hash])
        found.append(msgspec.structs.replace(look(hours, yardstick, role, objectives, now), drift=drift))
    return tuple(found)


def newest_moment(database_url: str, clock: Clock) -> datetime:
    """The moment to look at: the wall clock's; in a replay, that of its newest event.

    A replay's rows are older than their arrival. Others in the same log, such as a row that somebody sends by hand,
    have today's clock, and would make a year of nothing the newest weeks; they count where nothing was replayed.
    """
    wall = datetime.now(UTC).replace(tzinfo=None)
    if clock == "arrival":
        return wall
    past = _p.event_us < to_us(wall + AHEAD)
    for chosen in (past & (_p.event_us < _p.received_us - to_us(_EPOCH + AHEAD)), past):
        newest = ask_log(database_url, partial(_newest_event, chosen))
        if newest is not None:
            return from_us(newest)
    return wall


def _newest_event(chosen: sa.ColumnElement[bool], connection: sa.Connection) -> int | None:
    found: int | None = connection.scalar(sa.select(sa.func.max(_p.event_us)).where(chosen))
    return found


class Yardsticks:
    """Yardsticks of models by digest, with the challengers of their hours. An artifact is verified once."""

    def __init__(self, database_url: str, store: Path, public_key: Path, clock: Clock, now: datetime) -> None:
        self._where = database_url, store, public_key
        self._clock: Clock = clock
        self._now = now
        self._made: dict[str, Yardstick | None] = {}
        self._challengers: dict[str, Challengers] = {}

    def of(self, digest: str) -> Yardstick | None:
        """None: the model is nowhere, or does not verify; the log says why."""
        if digest not in self._made:
            try:
                artifact = find_artifact(digest, *self._where)
            except ArtifactInvalid as error:
                logger.warning("model %s is not watched: %s", digest[:12], error)
                self._made[digest] = None
            else:
                self._made[digest] = Yardstick.of(artifact)
        return self._made[digest]

    def at(self, digest: str, hour: int) -> Yardstick | None:
        """With the challenger that has learned nothing from this hour or a later one."""
        yardstick = self.of(digest)
        if yardstick is None:
            return None
        return replace(yardstick, challenger=self._challengers_of(yardstick).challenger_at(hour))

    def _challengers_of(self, yardstick: Yardstick) -> Challengers:
        if yardstick.digest not in self._challengers:
            url, _, _ = self._where
            schema, vocabulary = yardstick.schema, yardstick.names
            calendar = schema.calendar
            maturity = timedelta(minutes=calendar.horizon_minutes + calendar.label_delay_minutes, hours=24)
            refit(url, schema, vocabulary, yardstick.scorer, self._now, self._clock, maturity)
            refits = load_refits(url, yardstick.scorer, self._clock)
            self._challengers[yardstick.digest] = Challengers(refits, yardstick.scorer, vocabulary)
        return self._challengers[yardstick.digest]


def find_artifact(digest: str, database_url: str, store: Path, public_key: Path) -> Artifact:
    """A model of the store, or of the log's database, verified.

    Raises:
        ArtifactInvalid: it is in neither, or does not verify.
    """
    if (store / digest).is_dir():
        return verify(store / digest, public_key, digest)
    with opened(database_url) as engine:
        files = get_artifact(engine, digest)
    if files is None:
        raise ArtifactInvalid(f"`{store}` must hold the model {digest[:12]} that answered, got none; release it there")
    return verify_files(files, public_key, digest)


def _served(database_url: str, clock: Clock, first: int, last: int) -> list[tuple[str, str]]:
    """Digest and role of the models with rows in these hours, the one with the newest row first."""
    instant = _p.event_us if clock == "event" else _p.received_us
    span = instant.between(first * HOUR_US, (last + 1) * HOUR_US - 1)
    query = sa.select(_p.digest, _p.role).where(span).group_by(_p.digest, _p.role).order_by(sa.func.max(instant).desc())
    ask: Callable[[sa.Connection], list[tuple[str, str]]] = lambda connection: [  # noqa: E731
        (digest, role) for digest, role in connection.execute(query)
    ]
    found: list[tuple[str, str]] = ask_log(database_url, ask)
    return found
