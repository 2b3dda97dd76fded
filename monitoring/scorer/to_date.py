"""The challenger to date: refitted weekly on labels that have had their time, and judged on later rows alone.

It answers whether a retraining would help, before anybody pays for one: where the model loses to it, the world's labels
say something that the model does not know.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from contracts.schema import Category, Numeric, Schema
from monitoring.log.database import opened
from monitoring.log.reader import Predictions, ask_log
from monitoring.log.sample import Clock, oldest_answer, sample_day
from monitoring.log.watching import METADATA, REFITS
from monitoring.scorer.challenger import Challenger, grow_challenger
from monitoring.scorer.codes import features
from monitoring.scorer.reference import ReferenceScorer

WEEK: Final = 168  # hours
LEAST_DAYS: Final = 28  # of labels; fewer are one weather
MOST_DAYS: Final = 42  # of 180, three months of an older world outvoted two of a new one for eight weeks
ROWS: Final = 60_000  # at most
LEAST_OF_A_CLASS: Final = 200
_BACK: Final = 4  # weeks before this one: hours of 28 days are looked at
_KEPT: Final = 12  # refits a scorer: hours of four weeks may be counted again
_EPOCH: Final = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Refitted:
    """Trees that may score rows from `from_hour` (hours since 1970) on: all their labels were due before it."""

    from_hour: int
    rows: int
    trees: str


class Challengers:
    """The refits of one reference scorer, each for the hours after it."""

    def __init__(
        self, refits: Sequence[Refitted], reference: ReferenceScorer, vocabulary: Mapping[str, Sequence[str]]
    ) -> None:
        """Takes refits of any order, and what they were grown on."""
        self._refits = sorted(refits, key=lambda refit: refit.from_hour)
        self._hours = [refit.from_hour for refit in self._refits]
        self._reference, self._vocabulary = reference, vocabulary
        self._made: dict[int, Challenger] = {}

    def challenger_at(self, hour: int) -> Challenger | None:
        """The newest one that learned nothing from this hour (since 1970) or later; None: there is none yet."""
        place = bisect_right(self._hours, hour) - 1
        if place < 0:
            return None
        if place not in self._made:
            self._made[place] = Challenger(self._refits[place].trees, self._reference, self._vocabulary)
        return self._made[place]


def refit(
    database_url: str,
    schema: Schema,
    vocabulary: Mapping[str, Sequence[str]],
    reference: ReferenceScorer,
    now: datetime,
    clock: Clock,
    maturity: timedelta,
) -> Refitted | None:
    """This week's challenger: the one that is there, else a new one, written into the monitor's table.

    It learns from rows of the 28 to 42 days before the week whose labels were due when the week began. The four weeks
    before get theirs, too, each of its own past, where a log is older than its monitor: their hours are looked at.

    Args:
        now: UTC without a zone.
        clock: which instant of a row is its time, and `now`'s.
        maturity: from a row's time to when its label counts as told.

    Returns:
        None: the log holds too few labelled rows, days, or rows of one outcome.

    Raises:
        DataError: there is no prediction log of this version at this address.
    """
    week = (now - _EPOCH) // timedelta(hours=WEEK) * WEEK
    known = {one.from_hour: one for one in load_refits(database_url, reference, clock)}
    for hour in range(week - _BACK * WEEK, week + 1, WEEK):
        if hour in known:
            continue
        rows = _sample(database_url, schema, _EPOCH + timedelta(hours=hour) - maturity, clock)
        if rows is not None:
            known[hour] = Refitted(hour, len(rows.label), _grow(rows, reference, vocabulary))
            _save(database_url, reference, clock, known[hour])
    return known.get(week)


def load_refits(database_url: str, reference: ReferenceScorer, clock: Clock) -> list[Refitted]:
    """The kept refits of a reference scorer, the oldest first."""
    r = REFITS.c
    query = sa.select(r.from_hour, r.rows, r.trees).where((r.scorer == reference.sha256) & (r.clock == clock))
    with opened(database_url) as engine, engine.connect() as connection:
        if not sa.inspect(connection).has_table(REFITS.name):
            return []
        return [Refitted(*row) for row in connection.execute(query.order_by(r.from_hour))]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Labelled ones."""

    numeric: Numeric
    category: Category
    label: NDArray[np.float64]


def _sample(database_url: str, schema: Schema, end: datetime, clock: Clock) -> _Rows | None:
    """Labelled rows of the days before `end`, an equal bound a day; None: too few days, or rows of an outcome."""
    oldest = ask_log(database_url, lambda connection: oldest_answer(connection, clock))
    if oldest is None or oldest > end - timedelta(days=LEAST_DAYS - 1):
        return None  # a young log is not read each hour for nothing
    parts: list[_Rows] = []
    days = 0
    for day in range(MOST_DAYS):
        found = sample_day(database_url, end - timedelta(days=day + 1), ROWS // MOST_DAYS, schema, clock)
        labelled = [_labelled(part) for part in found]
        days += any(len(part.label) for part in labelled)
        parts += labelled
    if days < LEAST_DAYS:
        return None
    numeric, category, label = (np.concatenate([getattr(p, name) for p in parts]) for name in _Rows.__slots__)
    enough = min((label == 0).sum(), (label == 1).sum()) >= LEAST_OF_A_CLASS
    return _Rows(numeric, category, label) if enough else None


def _labelled(part: Predictions) -> _Rows:
    known = ~np.isnan(part.label)
    return _Rows(part.numeric[known], part.category[known], part.label[known])


def _grow(rows: _Rows, reference: ReferenceScorer, vocabulary: Mapping[str, Sequence[str]]) -> str:
    scores = reference(rows.numeric, rows.category)
    return grow_challenger(features(rows.numeric, rows.category, vocabulary), rows.label, scores)


def _save(database_url: str, reference: ReferenceScorer, clock: Clock, made: Refitted) -> None:
    """Write a refit, unless another monitor was faster, and drop those before the last `_KEPT`."""
    r, key = REFITS.c, {"scorer": reference.sha256, "clock": clock}
    values = {"from_hour": made.from_hour, "rows": made.rows, "trees": made.trees}
    with opened(database_url) as engine:
        METADATA.create_all(engine)
        try:
            with engine.begin() as connection:
                connection.execute(sa.insert(REFITS).values(key | values))
        except sa.exc.IntegrityError:
            return
        of_it = (r.scorer == reference.sha256) & (r.clock == clock)
        with engine.begin() as connection:
            connection.execute(sa.delete(REFITS).where(of_it & (r.from_hour <= made.from_hour - _KEPT * WEEK)))
