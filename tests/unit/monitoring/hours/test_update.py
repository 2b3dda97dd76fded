"""Counted hours follow the log, whatever comes late, twice, or is killed in between."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from contracts.store import load_champion
from monitoring.hours import update as module
from monitoring.hours.hour import Hour
from monitoring.hours.store import lease, read_hours, write_hours
from monitoring.hours.update import update
from monitoring.hours.yardstick import Yardstick
from monitoring.log.database import opened
from monitoring.log.sample import Clock
from monitoring.log.watching import LEASES, METADATA
from tests.unit.monitoring.conftest import World, label

DAY = datetime(2013, 7, 10, 12)
FIRST = int(datetime(2013, 7, 1).timestamp() // 3600) - 48
LAST = FIRST + 30 * 24
LATE = timedelta(hours=6)
Run = Callable[[], int | None]


@pytest.fixture
def yardstick(world: World) -> Yardstick:
    return Yardstick.of(load_champion(world.root / "store", world.root / "signing.pub"))


@pytest.fixture
def run(world: World, yardstick: Yardstick) -> Run:
    return lambda: update(
        world.database, lambda digest, _: yardstick if digest == world.digest else None, "event", FIRST, LAST, LATE
    )


def hours(world: World) -> list[Hour]:
    with opened(world.database) as engine:
        return read_hours(engine, "event", world.digest, "champion", FIRST, LAST)


def test_only_what_is_new_or_changed_is_counted(world: World, run: Run) -> None:
    world.log(world.flights("a", DAY, 30, 0.5))
    world.log(world.flights("bb", DAY + timedelta(hours=5), 20, None))
    assert run() == 2
    assert [(hour.rows, hour.requests) for hour in hours(world)] == [(30, 30), (20, 20)]
    assert run() == 0, "nothing has changed"
    world.log(world.flights("ccc", DAY + timedelta(hours=5, minutes=20), 7, None))  # waited in a spool
    assert run() == 1
    assert [hour.rows for hour in hours(world)] == [30, 27]


def test_a_label_has_its_hour_counted_again(world: World, run: Run) -> None:
    world.log(world.flights("a", DAY, 30, None))
    world.log(world.flights("bb", DAY + timedelta(hours=5), 20, None))
    run()
    world.log([label("a3", True, DAY, DAY + timedelta(days=2))])
    assert run() == 1
    first, second = hours(world)
    assert first.scores.counts.sum(axis=1).tolist() == [29, 0, 1]
    assert second.scores.counts.sum(axis=1).tolist() == [20, 0, 0]
    world.log([label("a3", False, DAY, DAY + timedelta(days=2, minutes=1))])  # a correction: the newest counts
    assert run() == 1
    assert hours(world)[0].scores.counts.sum(axis=1).tolist() == [29, 1, 0]


def test_a_label_is_late_when_none_of_its_row_came_in_time(world: World, yardstick: Yardstick) -> None:
    now = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=3)
    last = int(now.timestamp() // 3600) + 100
    world.log(world.flights("a", now, 4, None))
    outcome = now + timedelta(hours=3)
    world.log([label(f"a{i}", True, outcome, outcome + timedelta(hours=hours)) for i, hours in enumerate((1, 7, 8))])
    world.log([label("a0", False, outcome, outcome + timedelta(hours=9))])  # a correction

    def late(clock: Clock) -> list[int]:
        update(world.database, lambda *_: yardstick, clock, last - 600, last, LATE)
        with opened(world.database) as engine:
            return [hour.labels_late for hour in read_hours(engine, clock, world.digest, "champion", last - 600, last)]

    assert sum(late("arrival")) == 2
    assert sum(late("event")) == 0, "a replay's labels come when they are sent"


def test_a_run_that_is_killed_leaves_work_and_no_error(world: World, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(6):
        world.log(world.flights("x" * (i + 1), DAY + timedelta(hours=i), 10, 0.5))
    monkeypatch.setattr(module, "TOGETHER", 10)
    written = write_hours
    calls = 0

    def die(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        written(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "write_hours", die)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert 0 < len(hours(world)) < 6
    monkeypatch.setattr(module, "write_hours", written)
    run()
    assert [hour.rows for hour in hours(world)] == [10] * 6
    assert run() == 0


def test_two_at_once_do_the_work_once(world: World, run: Run) -> None:
    world.log(world.flights("a", DAY, 10, None))
    with opened(world.database) as engine:
        with lease(engine, "hours-event") as held:
            assert held is not None
            assert run() is None
            with lease(engine, "hours-event") as second:
                assert second is None
        assert run() == 1
        METADATA.create_all(engine)
        with engine.begin() as connection:  # who held it died
            connection.execute(sa.insert(LEASES).values(name="hours-event", holder="dead", until=0))
        assert run() == 0


def test_models_are_counted_apart_and_one_that_cannot_be_had_is_left(world: World, run: Run) -> None:
    world.log(world.flights("a", DAY, 10, None))
    world.log(world.flights("bb", DAY, 5, None, digest="e" * 64))
    run()
    assert [hour.rows for hour in hours(world)] == [10]


def test_hours_of_the_log_are_those_of_its_rows(world: World, run: Run, yardstick: Yardstick) -> None:
    world.log(world.flights("a", DAY, 40, 0.25, fair=True))
    run()
    (hour,) = hours(world)
    assert hour.scores.counts.sum(axis=1).tolist() == [0, 30, 10]
    assert hour.scores.counts[1, int(0.2 * 64)] == 30
    assert not np.isnan(hour.scores.paired[0]).any()
    assert hour.digest == yardstick.digest


def test_bytes_of_another_version_are_counted_again(world: World, run: Run) -> None:
    world.log(world.flights("a", DAY, 10, None))
    run()
    with opened(world.database) as engine, engine.begin() as connection:
        connection.execute(sa.text("UPDATE monitor_hours SET payload = x'00'"))
    assert run() == 1
    assert [hour.rows for hour in hours(world)] == [10]
