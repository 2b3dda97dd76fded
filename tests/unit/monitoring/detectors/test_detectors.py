"""Each detector with its fault and without: six weeks of made traffic, a fault of the catalogue in its last day."""

from dataclasses import replace

import numpy as np
import pytest

from contracts.objectives import Objectives
from contracts.reference import Reference, pack
from contracts.reports.watching import Fault, WatchedModel
from contracts.schema import Numeric
from contracts.store import load_champion
from monitoring.boards.data_alerts import DATA_ALERTS, ELSEWHERE
from monitoring.detectors import DETECTORS
from monitoring.detectors.units import conversions
from monitoring.hours.yardstick import Yardstick
from monitoring.incidents.alarms import alarms
from monitoring.incidents.catalogue import CATALOGUE, Incident, Truth
from monitoring.incidents.measure import names_cause
from monitoring.incidents.simulator import Seen, World, counted
from monitoring.incidents.traffic import Random, Traffic
from tasks.flights.schema import SCHEMA
from tests.support.tiny import tiny_model, write_store
from tests.unit.monitoring.detectors.traffic import DAYS, made

FAULTS = [one for one in CATALOGUE.values() if one.kind in ("data", "labels")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder, sample = tmp_path_factory.mktemp("made"), made(5, seed=1)
    write_store(folder, tiny_model(), reference=pack(Reference(sample.numeric, sample.category)))
    artifact = load_champion(folder / "store", folder / "signing.pub")
    return World(Yardstick.of(artifact), made(DAYS, seed=2), Objectives())


def look(
    world: World, incident: Incident | None, seed: int = 0, hours: int = 24
) -> tuple[WatchedModel, tuple[str, ...]]:
    """At the end of the fault's last hour, and for labels when they have had their time; and what the fault hit."""
    wait = world.maturity if incident is not None and incident.kind == "labels" else 0
    start = world.last + 1 - hours - wait
    place = int(np.searchsorted(world.traffic.hour, start))
    if incident is None:
        return world.look(world.seen, world.last), ()
    changed = incident.inject(world.traffic.rows(slice(place, None)), np.random.default_rng(seed))
    seen = [*world.before(start), *counted(world.yardstick, changed)]
    return world.look(seen, world.last), changed.subjects


@pytest.mark.parametrize("incident", FAULTS, ids=[one.name for one in FAULTS])
def test_a_fault_is_named_and_nothing_else_is(incident: Incident, world: World) -> None:
    model, subjects = look(world, incident)
    found = [alarm for alarm in alarms(model) if alarm.detector in DETECTORS]
    assert any(names_cause(alarm, incident, subjects) for alarm in found), found
    wrong = [alarm for alarm in found if alarm.detector not in incident.truth.detectors]
    assert not [alarm for alarm in wrong if alarm.subject not in subjects], wrong


def test_health_is_silent_and_known(world: World) -> None:
    model, _ = look(world, None)
    assert {fault.detector for fault in model.faults} == set(DETECTORS)
    assert {(fault.state, fault.cause, fault.since) for fault in model.faults if fault.state != "unknown"} == {
        ("ok", "", None)
    }
    assert {fault.detector for fault in model.faults if fault.state == "unknown"} == set()


@pytest.mark.parametrize("days", [3, 9])
def test_without_days_to_compare_with_all_is_unknown(world: World, days: int) -> None:
    seen = [one for one in world.seen if one.mature.hour > world.last - 24 * days]
    faults = world.look(seen, world.last).faults
    judged = {fault.detector for fault in faults if fault.state == "ok"} - {"labels_flipped"}  # asks no other day
    assert judged <= ({"volume"} if days == 9 else set())
    assert not [fault for fault in faults if fault.state in ("ticket", "page")]


def test_few_rows_say_nothing(world: World) -> None:
    thin = world.traffic.with_(**{
        name: getattr(world.traffic, name)[::24]
        for name in ("hour", "row_id", "numeric", "category", "label", "late")
    })  # fmt: skip
    faults = world.look(counted(world.yardstick, thin), world.last).faults
    assert {fault.state for fault in faults if fault.detector in ("missing", "unit", "range", "category")} == {
        "unknown"
    }


def _of(model: WatchedModel, detector: str) -> list[Fault]:
    return [fault for fault in model.faults if fault.detector == detector and fault.cause]


def without(world: World, first: int, last: int) -> list[Seen]:
    """Hours but those from `first` to `last`, counted back from the newest."""
    return [one for one in world.seen if not first >= world.last - one.mature.hour >= last]


def test_volume_counts_from_when_a_model_came_back(world: World) -> None:
    """It was not asked for three days and has been for six hours, which is no loss of three quarters of a day."""
    seen = without(world, 3 * 24 + 6, 6)
    (volume,) = [fault for fault in world.look(seen, world.last).faults if fault.detector == "volume"]
    assert (volume.state, volume.cause) == ("ok", "")
    thin = world.traffic.rows(
        np.flatnonzero((world.traffic.hour > world.last - 6) & (np.arange(len(world.traffic)) % 6 == 0))
    )
    few = [*without(world, 3 * 24 + 6, 0), *counted(world.yardstick, thin)]
    (volume,) = [fault for fault in world.look(few, world.last).faults if fault.detector == "volume"]
    assert volume.state == "ticket"
    assert "in 5 hours" in volume.cause


@pytest.mark.parametrize(("days", "state"), [(2, "ticket"), (5, "unknown")])
def test_a_model_that_was_away_for_days_is_no_feed_that_ended(world: World, days: int, state: str) -> None:
    """Rolled back to by night, it has no row yet; what arrives nowhere, NothingArrives tells."""
    (volume,) = [
        fault for fault in world.look(without(world, 24 * days, 0), world.last).faults if fault.detector == "volume"
    ]
    assert volume.state == state


@pytest.mark.parametrize("kind", ["mark", "fog", "by places", "no usual mark"])
def test_a_mark_that_training_has_seen_is_told_from_weather(world: World, kind: str) -> None:
    """A third of the rows has a humidity of 100 %, as some of the training sample had, and the others are as ever. In
    fog the others are high, too; where it comes by places, some hours have far more of it than others; and a value that
    is no bound is none that stands for "not known"."""
    column = SCHEMA.numeric_names.index("humid")
    known = world.yardstick.reference.numeric[:, column]
    high = SCHEMA.numeric[column].high if kind != "no usual mark" else float(np.nanmax(known)) + 1
    foggy = np.float32(np.nanquantile(known, 0.95))  # not of the bin that the mark is in
    sample = world.yardstick.reference.numeric.copy()
    sample[:5, column] = high
    reference = replace(world.yardstick.reference, numeric=sample)
    aware = World(replace(world.yardstick, reference=reference), world.traffic, world.objectives)

    def marked(traffic: Traffic, rng: Random) -> Traffic:
        share = np.where(traffic.hour % 2 == 0, 0.6, 0.08) if kind == "by places" else 1 / 3
        first = np.diff(traffic.hour, prepend=0) != 0  # of an hour: the mark is in each of them
        hit = (rng.random(len(traffic)) < share) | first

        def change(values: Numeric) -> Numeric:
            others = np.full_like(values, foggy) if kind == "fog" else np.minimum(values, high - 1)
            return np.where(hit[:, None], high, others).astype(np.float32)

        return traffic.with_numbers((column,), change)

    model, _ = look(aware, Incident("marked", "data", marked, Truth(("range",), "")))
    assert [(fault.subject, f"is {high:g} in nearly every hour" in fault.cause) for fault in _of(model, "range")] == (
        [("humid", True)] if kind == "mark" else []
    )


def test_labels_are_looked_at_by_names_and_not_by_ranges_of_numbers(world: World) -> None:
    """They come from sources; nobody sends those of long flights apart."""
    model, _ = look(world, None)
    assert any(".." in name for hour in world.seen[-24:] for name in hour.mature.slices)
    subjects = {fault.subject for fault in model.faults if fault.detector in ("labels_missing", "labels_flipped")}
    assert {"", "origin=JFK", "carrier=AA"} <= subjects
    assert not [name for name in subjects if ".." in name]


def test_a_few_hours_of_a_day_are_not_compared_with_whole_days(world: World) -> None:
    seen = without(world, 23, 4)
    faults = world.look(seen, world.last).faults
    assert {fault.state for fault in faults if fault.detector in ("missing", "unit", "swap", "category")} == {"unknown"}


def test_a_unit_is_named(world: World) -> None:
    model, _ = look(world, CATALOGUE["wind in m/s"])
    assert "wind_speed looks like m/s, not mph" in [fault.cause for fault in _of(model, "unit")]
    model, _ = look(world, CATALOGUE["temperature in Celsius"])
    assert "temp looks like °C, not °F" in [fault.cause for fault in _of(model, "unit")]


def test_a_new_writing_is_named(world: World) -> None:
    model, (name,) = look(world, CATALOGUE["renamed category"])
    (found,) = _of(model, "category")
    assert found.subject == name
    assert "is now written" in found.cause


def test_a_fault_has_a_beginning(world: World) -> None:
    model, _ = look(world, CATALOGUE["dead feed"])
    (found,) = _of(model, "stale")
    assert found.since is not None


def test_what_a_dead_stream_explains_is_not_told_again(world: World) -> None:
    model, (stream, *columns) = look(world, CATALOGUE["dead feed"])
    assert [fault.subject for fault in _of(model, "stale")] == [stream]
    of_columns = [fault for fault in model.faults if fault.detector == "missing" and fault.subject in columns]
    assert {fault.state for fault in of_columns} == {"unknown"}


def test_each_detector_has_an_alert() -> None:
    assert set(DATA_ALERTS) | set(ELSEWHERE) == set(DETECTORS)


def test_conversions_go_both_ways() -> None:
    factor, offset = conversions("°C")["°F"]
    assert factor * 100 + offset == pytest.approx(212)
    assert conversions("parsecs") == {}
    there, back = conversions("mph")["km/h"], conversions("km/h")["mph"]
    assert there[0] * back[0] == pytest.approx(1)
