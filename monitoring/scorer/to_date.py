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

from contracts.schema import Schema
from monitoring.log.database import opened
from monitoring.log.reader import Predictions
from monitoring.log.sample import Clock, sample_day
from monitoring.scorer.challenger import Challenger, grow_challenger
from monitoring.scorer.codes import features
from monitoring.scorer.reference import ReferenceScorer

WEEK: Final = 168  # hours
LEAST_DAYS: Final = 28  # of labels; fewer are one weather
MOST_DAYS: Final = 42  # of 180, three months of an older world outvoted two of a new one for eight weeks
ROWS: Final = 60_000  # at most
LEAST_OF_A_CLASS: Final = 200
_KEPT: Final = 12  # refits a scorer: hours of four weeks may be counted again
_EPOCH: Final = datetime(1970, 1, 1)

METADATA: Final = sa.MetaData()
REFITS: Final = sa.Table(
    "monitor_challengers",
    METADATA,
    sa.Column("scorer", sa.String(64), primary_key=True),  # sha256 of the scorer.onnx that it was grown on
    sa.Column("clock", sa.String(8), primary_key=True),
    sa.Column("from_hour", sa.Integer, primary_key=True),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("trees", sa.Text, nullable=False),  # LightGBM's text
)


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

    It learns from rows of the 28 to 42 days before the week whose labels were due when the week began.

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
    for known in load_refits(database_url, reference, clock):
        if known.from_hour == week:
            return known
    begin = _EPOCH + timedelta(hours=week)
    parts = _sample(database_url, schema, begin - maturity, clock)
    if parts is None:
        return None
    numeric, category, label = (np.concatenate([getattr(p, name) for p in parts]) for name in _COLUMNS)
    known_label = ~np.isnan(label)
    numeric, category, label = numeric[known_label], category[known_label], label[known_label]
    if min((label == 0).sum(), (label == 1).sum()) < LEAST_OF_A_CLASS:
        return None
    scores = reference(numeric, category)
    trees = grow_challenger(features(numeric, category, vocabulary), label, scores)
    made = Refitted(week, len(label), trees)
    _save(database_url, reference, clock, made)
    return made


def load_refits(database_url: str, reference: ReferenceScorer, clock: Clock) -> list[Refitted]:
    """The kept refits of a reference scorer, the oldest first."""
    r = REFITS.c
    query = sa.select(r.from_hour, r.rows, r.trees).where((r.scorer == reference.sha256) & (r.clock == clock))
    with opened(database_url) as engine, engine.connect() as connection:
        if not sa.inspect(connection).has_table(REFITS.name):
            return []
        return [Refitted(*row) for row in connection.execute(query.order_by(r.from_hour))]


_COLUMNS: Final = ("numeric", "category", "label")


def _sample(database_url: str, schema: Schema, end: datetime, clock: Clock) -> list[Predictions] | None:
    """Rows of the days before `end`, an equal bound a day; None: labelled ones of fewer than `LEAST_DAYS` days."""
    parts: list[Predictions] = []
    days = 0
    for day in range(MOST_DAYS):
        found = sample_day(database_url, end - timedelta(days=day + 1), ROWS // MOST_DAYS, schema, clock)
        days += any((~np.isnan(part.label)).any() for part in found)
        parts += found
    return parts if days >= LEAST_DAYS else None


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
