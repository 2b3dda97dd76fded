"""A fault at a random hour of real traffic, and a look at each hour after it, as the monitor would have looked then.

Hours are counted once with all their labels. A look sees the labels of an hour when they have had their time, and none
before: a row is never known by a label of its future.
"""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from contracts.objectives import Objectives
from contracts.reports.watching import WatchedModel
from monitoring.hours.count import Rows, count
from monitoring.hours.hour import Hour, Scores
from monitoring.hours.yardstick import Yardstick
from monitoring.incidents.alarms import RAISED
from monitoring.incidents.catalogue import HOURS, LIMIT, Incident
from monitoring.incidents.traffic import Traffic
from monitoring.watch.look import DAYS, look, mature_hour

ROLE: Final = "champion"
BEFORE: Final = 35 * 24  # hours of sound traffic before a fault: what the detectors and instruments compare with
_EPOCH: Final = datetime(1970, 1, 1)
_HOUR: Final = timedelta(hours=1)
T = TypeVar("T", bound=np.generic)
Tick = tuple[int, WatchedModel]  # the hour that has just ended, and what was said then


@dataclass(frozen=True, slots=True)
class Seen:
    """An hour before and after its labels have had their time; the same objects at each look."""

    fresh: Hour
    mature: Hour


@dataclass(slots=True)
class World:
    """Traffic without a fault, counted."""

    yardstick: Yardstick
    traffic: Traffic = field(repr=False)
    objectives: Objectives
    seen: list[Seen] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.seen = counted(self.yardstick, self.traffic)

    @property
    def maturity(self) -> int:
        """Hours from the start of an hour to the look that first sees all its labels."""
        now = _EPOCH + 1_000_000 * _HOUR - timedelta(microseconds=1)
        return 1_000_000 - mature_hour(self.yardstick.schema.calendar, now)

    @property
    def first(self) -> int:
        return self.seen[0].mature.hour

    @property
    def last(self) -> int:
        return self.seen[-1].mature.hour

    def before(self, hour: int) -> list[Seen]:
        """Those of five weeks before an hour."""
        return before(self.seen, hour)

    def look(self, seen: Sequence[Seen], hour: int) -> WatchedModel:
        """What is said at the end of an hour."""
        now = _EPOCH + (hour + 1) * _HOUR - timedelta(microseconds=1)
        mature = mature_hour(self.yardstick.schema.calendar, now)
        split = bisect_right(seen, mature, key=lambda one: one.mature.hour)
        hours = [one.mature for one in seen[:split]] + [one.fresh for one in seen[split:]]
        return look(hours, self.yardstick, ROLE, self.objectives, now)

    def lasting(self, seen: Sequence[Seen], hour: int) -> WatchedModel:
        """What is said at the end of an hour, with the faults alone that the hour before it had, too: their alerts wait
        for a second look."""
        now = self.look(seen, hour)
        if not any(one.state in RAISED for one in now.faults):
            return now
        last = self.look(seen, hour - 1).faults
        earlier = {(one.detector, one.subject) for one in last if one.state in RAISED}
        kept = tuple(
            one
            if one.state not in RAISED or (one.detector, one.subject) in earlier
            else structs.replace(one, state="ok")
            for one in now.faults
        )
        return structs.replace(now, faults=kept)


def before(seen: list[Seen], hour: int) -> list[Seen]:
    """Sorted hours of five weeks before an hour."""
    place = bisect_left(seen, hour, key=lambda one: one.mature.hour)
    start = bisect_left(seen, hour - DAYS * 24, key=lambda one: one.mature.hour)
    return seen[start:place]


@dataclass(frozen=True, slots=True)
class Replay:
    """One fault in one place. `start`: its hour; `subjects` as the fault named them; `rows` [hours] from `start` on."""

    start: int
    subjects: tuple[str, ...]
    rows: dict[int, int]
    seen: list[Seen] = field(repr=False)
    hours: int


def inject(world: World, incident: Incident, seed: int) -> Replay:
    """A fault at a random hour, the same one for the same seed.

    Raises:
        NoPlace: the task has no feature that it could hit.
    """
    rng = np.random.default_rng([seed, zlib.crc32(incident.name.encode())])
    start = _start(world, incident, rng)
    hours = HOURS[incident.kind] + (0 if incident.kind == "data" else world.maturity)
    place = slice(*np.searchsorted(world.traffic.hour, [start, start + hours]))
    sound = world.traffic.rows(place)
    changed = incident.inject(sound, rng)
    names, rows = np.unique(changed.hour, return_counts=True)
    known = [one for one in world.before(start) if one.mature.hour < start - incident.forgets]
    seen = [*known, *counted(world.yardstick, changed)]
    return Replay(start, changed.subjects, dict(zip(names.tolist(), rows.tolist(), strict=True)), seen, hours)


def ticks(world: World, replay: Replay, incident: Incident, *, lasting: bool = True) -> Iterator[Tick]:
    """Looks from the fault on: each hour at which it can show. A fault of labels or quality cannot before labels have
    had their time, and is looked at each third hour until then; one of quality each day from the second day on.

    Args:
        lasting: whether a fault of the data counts from its second look on; else from its first.
    """
    hour, end, labelled = replay.start, replay.start + replay.hours, replay.start + world.maturity - 1
    while hour < end:
        yield hour, world.lasting(replay.seen, hour) if lasting else world.look(replay.seen, hour)
        if incident.silent:
            hour += 24
        elif incident.kind == "data":
            hour += 1
        elif hour < labelled:
            hour = min(hour + 3, labelled)
        else:
            hour += 1 if incident.kind == "labels" or hour < labelled + 24 else 24


def limit_hours(world: World, incident: Incident) -> int:
    """From the fault on, in which it has to be noticed."""
    own = LIMIT[incident.kind] if incident.limit is None else incident.limit
    return own + (0 if incident.kind == "data" else world.maturity)


def counted(yardstick: Yardstick, traffic: Traffic) -> list[Seen]:
    """The hours of some traffic, scored by its model."""
    if len(traffic) == 0:
        return []
    rows = Rows(
        hour=traffic.hour,
        row_id=traffic.row_id,
        request=np.arange(len(traffic)),
        numeric=traffic.numeric,
        category=traffic.category,
        score=traffic.scorer(traffic.numeric, traffic.category).astype(np.float64),
        label=traffic.label,
        late=traffic.late,
    )
    return [Seen(unlabelled(hour), hour) for hour in count(yardstick, rows, yardstick.digest, ROLE)]


def unlabelled(hour: Hour) -> Hour:
    """The same hour before any label has come."""
    slices = {name: _unlabelled(scores) for name, scores in hour.slices.items()}
    return replace(hour, labels_late=0, scores=_unlabelled(hour.scores), slices=slices)


def _unlabelled(scores: Scores) -> Scores:
    def folded(values: NDArray[T]) -> NDArray[T]:
        found = np.zeros_like(values)
        found[0] = values.sum(axis=0)
        return found

    return Scores(
        counts=folded(scores.counts),
        score_sum=folded(scores.score_sum),
        loss=np.where(np.isnan(scores.loss), np.nan, 0.0),
        paired=np.where(np.isnan(scores.paired), np.nan, 0.0),
        reference_counts=folded(scores.reference_counts),
    )


def _start(world: World, incident: Incident, rng: np.random.Generator) -> int:
    hours = HOURS[incident.kind] + (0 if incident.kind == "data" else world.maturity)
    first, last = world.first + BEFORE, world.last - hours
    if incident.month is not None:
        return max(world.first, min(last, _hour_of_month(world, incident.month)))
    return int(rng.integers(first, max(first + 1, last)))


def _hour_of_month(world: World, month: int) -> int:
    """First hour of the first such month that the traffic reaches."""
    year = (_EPOCH + world.first * _HOUR).year
    found = next(m for m in (datetime(year + i, month, 1) for i in (0, 1)) if (m - _EPOCH) // _HOUR >= world.first)
    return (found - _EPOCH) // _HOUR
