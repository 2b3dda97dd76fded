"""The challenger to date: what it may learn from, what it may be asked about, and that it learns at all."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from models.preprocess import encode, fit_vocabulary
from monitoring.log.database import opened
from monitoring.log.insert import Record
from monitoring.log.sample import Clock, sample_day
from monitoring.log.schema import LABELS
from monitoring.scorer import to_date
from monitoring.scorer.codes import features
from monitoring.scorer.reference import ReferenceScorer
from monitoring.scorer.to_date import WEEK, Challengers, Refitted, load_refits, refit
from monitoring.statistics.quality import log_loss
from tasks.flights.schema import SCHEMA
from tests.support.learned import world as made_world
from tests.support.tiny import tiny_scorer
from tests.unit.monitoring.conftest import World, label, prediction

MADE = made_world(3000, seed=1)
WORDS = fit_vocabulary(MADE.category)
VOCABULARY = dict(zip(SCHEMA.category_names, map(list, WORDS), strict=True))
REFERENCE = ReferenceScorer(tiny_scorer())
WEEK_START = datetime(1970, 1, 1) + timedelta(hours=WEEK * 2270)
NOW = WEEK_START + timedelta(hours=50)
MATURITY = timedelta(hours=30)
PER_DAY = 60


def logged(days: int, first: int = 2, flipped_from: float = -1.0, arrived: datetime | None = None) -> list[Record]:
    """A request a row, `PER_DAY` a day, of the days before the week's begin, the label three hours after the row.

    Args:
        flipped_from: days before the week's begin from which on every label is the other one.
        arrived: the service's clock for all; None: the row's own time.
    """
    records: list[Record] = []
    for i in range((days - first + 1) * PER_DAY):
        ago = days - i / PER_DAY
        moment, row = WEEK_START - timedelta(days=ago), i % 3000
        numeric, category = MADE.numeric[row : row + 1], MADE.category[row : row + 1]
        received = arrived or moment
        records.append(prediction(f"r{i}", "d" * 64, moment, received, numeric, category, [0.5]))
        truth = bool(MADE.label[row]) ^ (ago < flipped_from)
        records.append(label(f"r{i}", truth, moment + timedelta(hours=3), received + timedelta(hours=3)))
    return records


def refitted(world: World, now: datetime = NOW, clock: Clock = "arrival") -> Refitted | None:
    return refit(world.database, SCHEMA, VOCABULARY, REFERENCE, now, clock, MATURITY)


def test_codes_are_those_of_training() -> None:
    category = MADE.category[:50].copy()
    category[:3] = ["ZZ", "", "AA"]
    codes = features(MADE.numeric[:50], category, VOCABULARY)[:, len(SCHEMA.numeric) :]
    np.testing.assert_array_equal(codes, encode(category, WORDS))


def test_it_learns_what_the_reference_does_not_know(world: World) -> None:
    world.log(logged(days=50))
    made = refitted(world)
    assert made is not None
    assert made.from_hour == WEEK * 2270
    seen = made_world(2000, seed=9)
    challenger = Challengers([made], REFERENCE, VOCABULARY).challenger_at(made.from_hour)
    assert challenger is not None
    scores, reference = challenger(seen.numeric, seen.category), REFERENCE(seen.numeric, seen.category)
    assert log_loss(seen.label, scores) < log_loss(seen.label, reference) - 0.02
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(challenger(seen.numeric, seen.category, reference), scores)
    assert challenger(seen.numeric[:0], seen.category[:0]).shape == (0,)


def test_rows_that_are_younger_than_their_labels_are_due_teach_nothing(world: World) -> None:
    """A flip of them changes no byte of the trees; one of older rows does."""
    found = []
    for place, flipped_from in enumerate((-1.0, 1.2, 20.0)):
        url = f"sqlite:///{world.root / f'{place}.db'}"
        other = replace(world, database=url)
        other.log(logged(days=50, first=0, flipped_from=flipped_from))
        made = refitted(other)
        assert made is not None
        found.append(made)
    assert found[0] == found[1]
    assert found[0].trees != found[2].trees
    assert found[0].rows == pytest.approx(PER_DAY * to_date.MOST_DAYS, abs=2)


def test_a_week_has_one_challenger_however_often_it_is_asked(world: World) -> None:
    world.log(logged(days=40))
    first = refitted(world)
    world.log([label("r5", True, NOW, NOW)])  # a correction
    assert refitted(world, NOW + timedelta(hours=1)) == first
    kept = load_refits(world.database, REFERENCE, "arrival")
    assert kept[-1] == first
    assert first is not None
    to_date._save(world.database, REFERENCE, "arrival", replace(first, rows=1))  # by another monitor, later
    assert load_refits(world.database, REFERENCE, "arrival") == kept


def test_a_log_that_is_older_than_its_monitor_has_a_challenger_for_each_week_that_could_have_had_one(
    world: World,
) -> None:
    world.log(logged(days=45))
    made = refitted(world)
    kept = load_refits(world.database, REFERENCE, "arrival")
    assert [one.from_hour - 2270 * WEEK for one in kept] == [-2 * WEEK, -WEEK, 0]
    assert kept[-1] == made
    assert kept[0].rows == pytest.approx(PER_DAY * (45 - 14 - 1.25), abs=2)
    before = replace(world, database=f"sqlite:///{world.root / 'before.db'}")
    before.log(logged(days=45, first=16))  # what was there two weeks ago
    assert refitted(before, NOW - timedelta(weeks=2)) == kept[0]


def test_old_refits_go(world: World) -> None:
    for week in range(20):
        to_date._save(world.database, REFERENCE, "arrival", Refitted(week * WEEK, 1, "trees"))
    to_date._save(world.database, REFERENCE, "event", Refitted(0, 1, "trees"))
    assert [kept.from_hour // WEEK for kept in load_refits(world.database, REFERENCE, "arrival")] == [*range(8, 20)]
    assert len(load_refits(world.database, REFERENCE, "event")) == 1


@pytest.mark.parametrize("days", [0, 28])
def test_there_is_none_for_want_of_days(world: World, days: int) -> None:
    world.log(logged(days=days))
    assert refitted(world) is None


def test_there_is_none_for_want_of_an_outcome(world: World) -> None:
    world.log(logged(days=40))
    with opened(world.database) as engine, engine.begin() as connection:
        connection.execute(LABELS.update().values(value=False))
    assert refitted(world) is None


def test_the_clock_says_which_instant_is_a_rows_time(world: World) -> None:
    """A replay arrives within a minute: by arrival it is one day, by the caller's clock it is weeks."""
    world.log(logged(days=40, arrived=WEEK_START - timedelta(days=3)))
    assert refitted(world) is None
    made = refitted(world, clock="event")
    assert made is not None
    assert load_refits(world.database, REFERENCE, "event")[-1] == made
    assert load_refits(world.database, REFERENCE, "arrival") == []


def test_no_hour_is_judged_by_what_was_learned_after_it(world: World) -> None:
    world.log(logged(days=40))
    made = refitted(world)
    assert made is not None
    challengers = Challengers([replace(made, from_hour=made.from_hour + WEEK), made], REFERENCE, VOCABULARY)
    first, second = (challengers.challenger_at(made.from_hour + hours) for hours in (WEEK - 1, WEEK))
    assert challengers.challenger_at(made.from_hour - 1) is None
    assert challengers.challenger_at(made.from_hour) is first is not second is not None


def test_a_sample_is_bounded_and_the_same_again(world: World) -> None:
    world.log(logged(days=3))
    day = WEEK_START - timedelta(days=3)
    whole = sample_day(world.database, day, 1000, SCHEMA, "arrival")
    parts = [sample_day(world.database, day, 7, SCHEMA, "arrival") for _ in range(2)]
    assert sum(len(part.score) for part in whole) == PER_DAY
    assert [list(part.request_id) for part in parts[0]] == [list(part.request_id) for part in parts[1]]
    assert sum(len(part.score) for part in parts[0]) == 7
    assert max(int(name.removeprefix("r")) for part in parts[0] for name in part.request_id) > 10, "drawn over the day"
    assert sample_day(world.database, day + timedelta(days=30), 7, SCHEMA, "arrival") == []
