"""The catalogue: each fault changes what it says, finds its features without the task, and has who notices it."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from contracts.reports.watching import Question
from monitoring.incidents.catalogue import CATALOGUE, Incident, Truth, register
from monitoring.incidents.outcomes import nothing_wrong
from monitoring.incidents.simulator import World
from monitoring.incidents.traffic import NoPlace, Traffic
from tasks.rain.schema import SCHEMA as RAIN
from tests.support.tiny import bounds

FAULTS = [one for one in CATALOGUE.values() if one.kind != "silent"]
each_fault = pytest.mark.parametrize("incident", FAULTS, ids=[one.name for one in FAULTS])
DOCS = Path(__file__).parents[4] / "docs/incidents.md"


def _differs(before: Traffic, after: Traffic) -> bool:
    if len(before) != len(after):
        return True
    same = all(
        np.array_equal(getattr(before, name), getattr(after, name), equal_nan=name in ("numeric", "label"))
        for name in ("hour", "row_id", "numeric", "category", "label", "late")
    )
    return not same or before.scorer is not after.scorer


@each_fault
def test_a_fault_changes_a_copy_and_the_same_one_for_the_same_seed(incident: Incident, world: World) -> None:
    sound = world.traffic.rows(slice(0, 2_000))
    untouched = sound.rows(slice(None)).with_(numeric=sound.numeric.copy(), category=sound.category.copy())
    first = incident.inject(sound, np.random.default_rng(3))
    again = incident.inject(sound, np.random.default_rng(3))
    assert _differs(sound, first)
    assert not _differs(sound, untouched), "the rows that were given must stay as they are"
    assert first.subjects == again.subjects
    assert np.array_equal(first.numeric, again.numeric, equal_nan=True)


def test_silent_incidents_change_nothing(world: World) -> None:
    assert not _differs(world.traffic, nothing_wrong(world.traffic, np.random.default_rng(0)))


@each_fault
def test_a_fault_needs_no_code_of_a_task(incident: Incident, world: World) -> None:
    rng = np.random.default_rng(1)
    low, high = bounds(RAIN)
    count = 6_000
    rain = world.traffic.rows(slice(0, count)).with_(
        schema=RAIN,
        numeric=(low + rng.random((count, len(low))) * (high - low)).astype(np.float32),
        category=rng.choice(["EWR", "JFK", "LGA"], (count, 1)).astype(object),
    )
    if incident.name == "clock four hours off":  # rain has no minute of the day
        with pytest.raises(NoPlace, match="got none; it cannot happen there"):
            incident.inject(rain, rng)
    else:
        assert _differs(rain, incident.inject(rain, rng))


def test_units_are_converted(world: World) -> None:
    wind = CATALOGUE["wind in m/s"].inject(world.traffic, np.random.default_rng(0))
    assert wind.subjects == ("wind_speed", "wind_gust")
    column = world.traffic.schema.numeric_names.index("wind_speed")
    assert wind.numeric[0, column] == pytest.approx(world.traffic.numeric[0, column] * 0.44704)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="stuck value"):
        register(CATALOGUE["stuck value"])


def test_every_question_about_quality_has_an_incident() -> None:
    named = {detector for one in FAULTS for detector in one.truth.detectors}
    assert set(get_args(Question)) <= named


def missing_in(registry: set[str], catalogue: list[Incident]) -> tuple[set[str], set[str]]:
    """Detectors that an incident names and nobody has, and those that no incident tries."""
    named = {detector for one in catalogue for detector in one.truth.detectors} - set(get_args(Question))
    return named - registry, registry - named


@pytest.mark.skipif(find_spec("monitoring.detectors") is None, reason="no detectors of data faults yet")
def test_every_detector_has_an_incident_and_every_incident_a_detector() -> None:
    from monitoring.detectors import DETECTORS  # type: ignore[import-not-found, import-untyped, unused-ignore]

    without, untried = missing_in(set(DETECTORS), FAULTS)
    assert not without, f"incidents without a detector: {without}"
    assert not untried, f"detectors without an incident: {untried}"


def test_what_is_missing_is_named() -> None:
    fault = Incident("x", "data", nothing_wrong, Truth(("nobody",), ""))
    assert missing_in({"unit"}, [fault]) == ({"nobody"}, {"unit"})


def test_the_example_of_the_docs_works(world: World) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(example.strip().splitlines()) <= 14
    before = set(CATALOGUE)
    try:
        exec(compile(example, str(DOCS), "exec"), {})  # noqa: S102 - our own page
        (name,) = set(CATALOGUE) - before
        assert _differs(world.traffic, CATALOGUE[name].inject(world.traffic, np.random.default_rng(0)))
    finally:
        for name in set(CATALOGUE) - before:
            del CATALOGUE[name]
