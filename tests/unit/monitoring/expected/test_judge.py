"""Each instrument hears its own fault and is silent at the others', and unknown is never good."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from contracts.objectives import Objectives
from contracts.reports.watching import Instrument, WindowQuality
from monitoring.expected import judge
from monitoring.hours.yardstick import Yardstick
from monitoring.statistics import quality
from monitoring.statistics.expectation import to_metrics
from tasks.flights.schema import SCHEMA
from tests.unit.monitoring.expected.traffic import FIRST, Floats, Rows, sigmoid, traffic

DAYS = 35
NOW = FIRST + 24 * DAYS - 1
LATE = 31  # hours until a label has had its time
Found = tuple[tuple[WindowQuality, ...], tuple[Instrument, ...]]


@cache
def _release() -> dict[str, float]:
    return to_metrics(traffic(days=30, seed=1).release())


def _yardstick(expected: dict[str, float]) -> Yardstick:
    none: Any = None
    return Yardstick("d" * 64, SCHEMA, {}, (), none, (), none, none, (), expected, none)


def _judge(rows: Rows, expected: dict[str, float] | None = None, now: int = NOW, mature: int | None = None) -> Found:
    yardstick = _yardstick(_release() if expected is None else expected)
    return judge(rows.hours(), yardstick, Objectives(), now, now - LATE if mature is None else mature)


def _alarms(found: Found) -> set[tuple[str, str, str]]:
    return {(one.state, one.question, one.slice) for one in found[1] if one.state in ("ticket", "page")}


def _logit(score: Floats) -> Floats:
    found: Floats = np.log(score / (1 - score))
    return found


@pytest.fixture(scope="module")
def health() -> Rows:
    return traffic(DAYS)


@pytest.fixture(scope="module")
def healthy(health: Rows) -> Found:
    return _judge(health)


def test_health_is_ok_in_every_answer(healthy: Found) -> None:
    windows, instruments = healthy
    assert {one.state for one in instruments} == {"ok"}
    assert {one.question for one in instruments} == {"paired", "gap", "calibration", "challenger"}
    assert {one.slice for one in instruments} == {"", "origin=EWR", "origin=JFK", "origin=LGA"}
    assert len(windows) == 3 * 4
    assert {one.days for one in windows} == {1, 7, 28}
    assert all(one.why == "" for one in windows if one.days > 1 or not one.slice)


def test_windows_are_the_quality_of_their_rows(health: Rows, healthy: Found) -> None:
    end = NOW - LATE + 1
    day = FIRST + (end - FIRST) // 24 * 24
    for days, first, last in ((1, end - 24, end), (7, day - 7 * 24, day), (28, day - 28 * 24, day)):
        mask = (health.hour >= first) & (health.hour < last)
        window = next(one for one in healthy[0] if one.days == days and one.slice == "")
        assert window.mature == window.labelled == mask.sum()
        assert window.rows == mask.sum() + (health.hour > NOW - LATE).sum()
        assert window.auc == pytest.approx(quality.auc(health.label[mask], health.model[mask]), abs=0.002)
        assert window.log_loss == pytest.approx(quality.log_loss(health.label[mask], health.model[mask]))
        assert window.mean_score == pytest.approx(health.model[mask].mean())
        assert window.positive_share == pytest.approx(health.label[mask].mean())
        low, measured, high = window.expected_low or 1, window.auc or 0, window.expected_high or 0
        assert low < measured < high


def test_random_scores_page_within_a_day_of_mature_labels(health: Rows) -> None:
    bad = health.where(health.since(30), model=np.random.default_rng(0).random(len(health.hour)))
    start = FIRST + 30 * 24
    assert _alarms(_judge(bad, mature=start - 1)) == set()
    found = _judge(bad, mature=start + 20)  # not a whole local day yet
    assert ("page", "paired", "") in _alarms(found)
    assert [one.days for one in found[1] if one.state == "page"] == [1]
    whole = _judge(bad, mature=start + 24)
    assert 0 in [one.days for one in whole[1] if one.state == "page"]


def test_random_scores_page_on_a_calm_day_by_their_order(health: Rows) -> None:
    """A twentieth of the rows is positive, so that chance costs little log-loss; the order tells it all the same."""
    rng = np.random.default_rng(0)
    kept = health.label * (rng.random(len(health.hour)) < 0.15)
    calm = health.where(health.since(30), model=rng.random(len(health.hour)) / 10, label=kept)
    mature = FIRST + 30 * 24 + 23
    blind = {name: value for name, value in _release().items() if not name.startswith("lost_auc")}
    assert ("page", "paired", "") not in _alarms(_judge(calm, blind, mature=mature))
    found = _judge(calm, mature=mature)
    assert ("page", "paired", "") in _alarms(found)
    assert any("beside the reference's in the newest 24 hours" in one.why for one in found[1])
    sound = health.where(health.since(30), label=kept)
    assert ("page", "paired", "") not in _alarms(_judge(sound, mature=mature))


def test_a_month_with_a_week_missing_has_no_gap() -> None:
    few = _judge(traffic(25), now=FIRST + 25 * 24 - 1)
    (gap,) = [one for one in few[1] if one.question == "gap" and one.slice == ""]
    assert (gap.state, gap.why) == ("unknown", "23 days with labels, at least 24 are needed")


def test_a_worse_model_pages_and_says_since_when(health: Rows) -> None:
    rng = np.random.default_rng(0)
    mixed = np.where(rng.random(len(health.hour)) < 0.3, rng.permutation(health.model), health.model)
    found = _judge(health.where(health.since(22), model=mixed))
    page = next(one for one in found[1] if one.question == "paired" and one.slice == "" and one.days == 0)
    assert page.state == "page"
    assert any(f"since {day} July 2013" in page.why for day in (22, 23, 24))
    assert page.low is not None
    assert page.low > 0


def test_a_wrong_calibration_is_a_ticket_and_no_page(health: Rows) -> None:
    bad = health.where(health.since(20), model=sigmoid(_logit(health.model) + 1.5))
    found = _alarms(_judge(bad))
    assert ("ticket", "calibration", "") in found
    assert not any(state == "page" for state, _, _ in found)
    slope = _judge(health.where(health.since(0), model=sigmoid(2.5 * (_logit(health.model) + 1) - 1)))
    assert ("ticket", "calibration", "") in _alarms(slope)


def test_a_changed_world_is_the_gap_s_since_both_scorers_share_it(health: Rows) -> None:
    rng = np.random.default_rng(0)
    flipped = np.where(rng.random(len(health.hour)) < 0.3, rng.permutation(health.label), health.label)
    found = _alarms(_judge(health.where(health.since(0), label=flipped)))
    assert ("ticket", "gap", "") in found
    assert not any(state == "page" for state, _, _ in found)


def test_a_better_challenger_is_a_ticket(health: Rows) -> None:
    better = sigmoid(_logit(health.model) + np.where(health.label == 1, 0.2, -0.2))
    found = _alarms(_judge(health.where(health.since(0), challenger=better)))
    assert found == {("ticket", "challenger", "")}


def test_one_bad_slice_is_named_first(health: Rows) -> None:
    random = np.random.default_rng(0).random(len(health.hour))
    bad = health.where(health.since(20) & (health.origin == "LGA"), model=random)
    _, instruments = _judge(bad)
    slices = [one for one in instruments if one.question == "paired" and one.slice]
    assert [one.slice for one in slices if one.state == "ticket"] == ["origin=LGA"]
    assert slices[0].slice == "origin=LGA"


def test_rows_without_their_label_s_time_judge_nothing(health: Rows, healthy: Found) -> None:
    fresh = health.hour > NOW - LATE
    bad = health.where(fresh, model=0.99, label=np.where(health.label == 1, np.nan, health.label))
    assert _judge(bad) == healthy


def test_what_is_later_than_now_is_not_looked_at(health: Rows) -> None:
    now = NOW - 48
    earlier = Rows(**{name: value[health.hour <= now] for name, value in vars(health).items()})
    assert _judge(health, now=now) == _judge(earlier, now=now)


def test_no_labels_are_unknown_and_say_so(health: Rows) -> None:
    windows, instruments = _judge(health.where(health.since(0), label=np.nan))
    assert {one.state for one in instruments} == {"unknown"}
    assert all(one.why for one in instruments)
    assert all(one.auc is None and "label" in one.why for one in windows)
    assert all(one.expected_auc is not None for one in windows)  # of the scores alone


def test_no_traffic_is_unknown_too() -> None:
    windows, instruments = judge([], _yardstick(_release()), Objectives(), NOW, NOW - LATE)
    assert {one.state for one in instruments} == {"unknown"}
    assert all(one.rows == 0 and one.auc is None and one.why for one in windows)


def test_labels_that_stop_leave_no_ok_behind(health: Rows) -> None:
    _, instruments = _judge(health.where(health.since(29), label=np.nan))
    paired = [one for one in instruments if one.question == "paired"]
    assert {one.state for one in paired} == {"unknown"}
    assert any("newest 3 days" in one.why for one in paired)


def test_one_class_is_unknown(health: Rows) -> None:
    _, instruments = _judge(health.where(health.since(0), label=0.0))
    assert {one.state for one in instruments if one.question != "challenger"} == {"unknown"}


def test_without_a_reference_scorer_the_paired_question_is_unknown(health: Rows) -> None:
    _, instruments = _judge(health.where(health.since(0), reference=np.nan, challenger=np.nan))
    by_question = {one.question: one for one in instruments if one.slice == ""}
    assert by_question["paired"].state == by_question["challenger"].state == "unknown"
    assert by_question["gap"].state == "ok"


def test_a_release_that_says_nothing_is_held_against_its_own_days(health: Rows) -> None:
    young = Rows(**{name: value[health.since(25)] for name, value in vars(health).items()})
    assert all(one.state == "unknown" for one in _judge(young, {})[1] if one.question == "paired")
    old = next(one for one in _judge(health, {})[1] if one.question == "paired" and one.days == 0)
    assert old.state == "ok"
    assert "its own" in old.why
    bad = health.where(health.since(28), model=np.random.default_rng(0).random(len(health.hour)))
    assert ("page", "paired", "") in _alarms(_judge(bad, {}))


def test_remembered_days_answer_as_new_ones(health: Rows, healthy: Found) -> None:
    hours, yardstick = health.hours(), _yardstick(_release())
    for now in range(NOW - 30, NOW + 1):
        found = judge(hours, yardstick, Objectives(), now, now - LATE)
    assert found == healthy
    assert found == judge([replace(hour) for hour in hours], yardstick, Objectives(), NOW, NOW - LATE)
