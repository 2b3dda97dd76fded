"""Whoever answers is watched, by the log's own rows; no clock of a caller moves it."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.objectives import Objectives
from contracts.reports.watching import WatchedModel
from monitoring.log.sample import Clock
from monitoring.watch.models import newest_moment, watch
from tests.unit.monitoring.conftest import World, recently

NOW = datetime(2013, 9, 20, 12)


def watched(world: World, clock: Clock = "event", now: datetime = NOW) -> tuple[WatchedModel, ...]:
    return watch(world.database, world.root / "store", world.root / "signing.pub", Objectives(), clock, now)


def test_who_answers_is_watched_whatever_the_pointer_says(world: World) -> None:
    """A rollback leaves the store's pointer behind."""
    (world.root / "store/champion").write_text("f" * 64)
    world.log(world.flights("a", NOW - timedelta(hours=9), 30, 0.5))
    found = watched(world)
    assert [(model.digest, model.role, model.rows) for model in found] == [(world.digest, "champion", 30)]
    assert (found[0].first, found[0].last) == ("2013-09-20T03:00:00Z", "2013-09-20T03:00:00Z")


def test_drift_is_described_and_says_what_it_cannot_tell(world: World) -> None:
    world.log(world.flights("a", NOW - timedelta(hours=9), 230, None))
    world.log(world.flights("bb", NOW - timedelta(days=9), 300, None))
    (model,) = watched(world)
    assert model.drift is not None
    assert (model.drift.rows, model.drift.rows_before) == (230, 300)
    assert all(shift.month is not None and shift.usual is None for shift in model.drift.shifts)
    assert model.drift.apart is not None
    assert "got 1 and 1" in model.drift.apart.why


def test_a_model_that_does_not_verify_is_left_out_and_the_others_are_watched(world: World) -> None:
    world.log(world.flights("a", NOW - timedelta(hours=9), 30, 0.5))
    world.log(world.flights("bb", NOW - timedelta(hours=3), 30, 0.5, digest="e" * 64))
    assert [model.digest for model in watched(world)] == [world.digest]


def test_a_caller_s_clock_in_the_year_2999_moves_nothing(world: World) -> None:
    world.log(world.flights("far", datetime(2999, 1, 1), 5, None))
    world.log(world.flights("a", NOW - timedelta(hours=9), 30, 0.5))
    assert newest_moment(world.database, "event") == NOW - timedelta(hours=9) + timedelta(seconds=29)
    wall = datetime.now(UTC).replace(tzinfo=None)
    assert abs(newest_moment(world.database, "arrival") - wall) < timedelta(minutes=1)
    (model,) = watched(world)
    assert model.rows == 30
    (model,) = watched(world, "arrival", wall)
    assert model.rows == 35, "by their arrival all of them came just now"


def test_labels_that_had_no_time_yet_judge_nothing(world: World) -> None:
    world.log(world.flights("a", NOW - timedelta(hours=5), 300, 0.5))
    (model,) = watched(world)
    whole = next(window for window in model.windows if window.days == 28 and not window.slice)
    assert (whole.mature, whole.auc) == (0, None)
    assert whole.why
    assert {instrument.state for instrument in model.instruments} == {"unknown"}


@pytest.mark.parametrize("clock", ["arrival", "event"])
def test_an_empty_log_has_nobody_to_watch(world: World, clock: Clock) -> None:
    assert watched(world, clock, recently(hours=0)) == ()


def test_a_row_sent_by_hand_beside_a_replay_does_not_move_its_clock(world: World) -> None:
    world.log(world.flights("a", NOW - timedelta(hours=9), 30, 0.5))
    world.log(world.flights("hand", recently(minutes=5), 3, None))
    assert newest_moment(world.database, "event") == NOW - timedelta(hours=9) + timedelta(seconds=29)


def test_without_a_replay_the_newest_event_is_the_clock(world: World) -> None:
    world.log(world.flights("hand", recently(minutes=5), 3, None))
    assert abs(newest_moment(world.database, "event") - recently(minutes=5)) < timedelta(minutes=1)
