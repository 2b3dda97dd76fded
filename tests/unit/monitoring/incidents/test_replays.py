"""A fault replayed: labels come in their time, what was there before is not blamed, the rules are the real engine's."""

import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec import structs

from cli import main
from contracts.objectives import Objectives
from contracts.reports import read_report
from contracts.reports.incidents import FalseAlarm, Fired, IncidentsReport, Quiet
from contracts.reports.watching import Fault, WatchedModel
from monitoring.incidents import rules
from monitoring.incidents.alarms import Alarm
from monitoring.incidents.catalogue import CATALOGUE
from monitoring.incidents.measure import SEEDS, Study, complaints, measure, names_cause
from monitoring.incidents.picture import drawn
from monitoring.incidents.quiet import WEEK, QuietMonths, drawn_weeks, false_alarms, resampled
from monitoring.incidents.simulator import World, inject, ticks, unlabelled
from monitoring.incidents.tables import lines

RULES = """
groups:
  - name: x
    rules:
      - alert: DataUnit
        expr: max by (version) (windsock_fault{detector="unit"}) == 1
        for: 10m
        labels: {severity: warning}
        annotations: {summary: 's'}
      - alert: ServiceDown
        expr: absent(up)
        labels: {severity: critical}
"""


def measured(world: World, seeds: int, name: str) -> IncidentsReport:
    """In this process."""
    study = Study(world, seeds, short=True)
    return measure(
        "a", lambda names: ((one, study.part(one)) for one in names), [name], short=True, tell=lambda _: None
    )


def test_no_row_is_known_by_a_label_of_its_future(world: World) -> None:
    one = world.seen[0].mature
    young = unlabelled(one)
    assert one.scores.counts[1:].sum() == one.rows
    assert young.scores.counts[0].sum() == young.rows
    assert young.scores.counts[1:].sum() == young.scores.loss[0] == 0
    assert young.scores.score_sum[0] == pytest.approx(one.scores.score_sum.sum())
    assert all(scores.counts[1:].sum() == 0 for scores in young.slices.values())


def test_labels_are_seen_when_they_have_had_their_time(world: World) -> None:
    first = world.first
    before, after = (world.look(world.seen, first + world.maturity - 1 + late) for late in (-1, 0))
    labelled = [next(w.labelled for w in look.windows if w.days == 1 and not w.slice) for look in (before, after)]
    assert labelled == [0, world.seen[0].mature.rows]


def test_a_seed_is_an_hour_and_what_was_before_stays(world: World) -> None:
    a, b, c = (inject(world, CATALOGUE["wind in m/s"], seed) for seed in (1, 1, 2))
    assert a.start == b.start != c.start
    assert [one.mature.hour for one in a.seen if one.mature.hour < a.start][-1] == a.start - 1
    assert all(one in world.seen for one in world.before(a.start)[:2])


def test_random_scores_are_a_page_within_a_day_of_labels(world: World) -> None:
    """A slice may write a ticket before."""
    report, incident = measured(world, 2, "random scores"), CATALOGUE["random scores"]
    (found,) = report.incidents
    assert (found.detected, found.detector, found.named_cause_right) == (2, "paired", 2)
    assert "random scores" in "\n".join(lines(report))
    assert f'class="{found.severity}"' in drawn(report)
    replay = inject(world, incident, 0)
    looks = (model for hour, model in ticks(world, replay, incident) if hour < replay.start + found.limit_hours)
    assert any(one.question == "paired" and one.state == "page" for model in looks for one in model.instruments)


def test_without_its_instrument_nobody_notices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(*_: object) -> WatchedModel:
        return WatchedModel("d" * 64, "champion", 0, None, None, (), (), ())

    monkeypatch.setattr("monitoring.incidents.simulator.look", blind)
    report = measured(world, 1, "random scores")
    (found,) = report.incidents
    assert (found.detected, found.delay_hours.median, found.detector) == (0, None, "")
    assert "not noticed" in drawn(report)


def test_what_must_not_be_is_a_complaint(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complaints(measured(world, 1, "stuck value")) == []
    monkeypatch.setattr("monitoring.incidents.simulator.look", lambda *_: _look("ok"))
    assert complaints(measured(world, 1, "stuck value")) == []
    report = measured(world, SEEDS, "stuck value")
    assert complaints(report) == ["stuck value: none of 3 was noticed within 24 hours"]
    paged = structs.replace(report, incidents=(), quiet=Quiet(6.0, 100, 1, 0, None, None, ()))
    assert complaints(paged) == ["1 pages in months without a fault, and pages in: none of silence"]


def test_a_quiet_time_is_silent_here(world: World) -> None:
    quiet = QuietMonths(first_hours(world, 14 * 24))
    summary = quiet.summary()
    assert summary.pages == 0
    assert summary.windows >= 14 * 8


def test_a_fault_counts_from_its_second_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = world.last
    odd = {hour, hour - 5, hour - 6}  # hours whose look says fault

    def look(_: World, seen: object, at: int) -> WatchedModel:
        return _look("ticket" if at in odd else "ok")

    monkeypatch.setattr(World, "look", look)
    states = {at: world.lasting([], at).faults[0].state for at in (hour, hour - 5, hour - 6)}
    assert states == {hour: "ok", hour - 5: "ticket", hour - 6: "ok"}


def test_a_resampled_half_year_has_its_weeks_and_its_season(world: World) -> None:
    drawn = drawn_weeks(world, np.random.default_rng(1))
    at = [one.mature.hour for one in drawn]
    assert at == sorted(set(at))
    assert at[0] == world.first
    assert len(at) == pytest.approx(len(world.seen), abs=WEEK)
    rows = {id(one.mature.bins): one.mature.hour for one in world.seen}  # what a copy shares with its source
    moved = [one.mature.hour - rows[id(one.mature.bins)] for one in drawn]
    assert {0} < set(moved) | {0} <= {week * WEEK for week in (-2, -1, 0, 1, 2)}
    assert all(one.fresh.hour == one.mature.hour for one in drawn)


def test_a_resampled_half_year_has_no_fault_of_the_data(world: World) -> None:
    found = resampled(first_hours(world, 44 * 24), 1)
    assert (found.windows, found.pages) == (6 * 4, 0)
    assert {one.detector for one in found.alarms} <= {"gap", "calibration"}, (
        "of quality, which six weeks of tiny rows tell badly"
    )


@pytest.mark.parametrize("name", ["a fresh installation", "a rollback after a week"])
def test_a_model_that_is_new_or_comes_back_is_silent(world: World, name: str) -> None:
    incident = CATALOGUE[name]
    replay = inject(world, incident, 1)
    before = [one.mature.hour for one in replay.seen if one.mature.hour < replay.start]
    assert max(before, default=-1) < replay.start - min(incident.forgets, 35 * 24)
    for hour, model in islice(ticks(world, replay, incident), 4):
        raised = [one for one in model.faults if one.state in ("ticket", "page")]
        assert not raised, (hour - replay.start, raised)


def first_hours(world: World, hours: int) -> World:
    """The same world's first hours."""
    return World(world.yardstick, world.traffic.rows(slice(0, hours * 10)), world.objectives)


def test_an_alarm_goes_on_until_a_day_without_it() -> None:
    ticket, other = (Alarm("gap", slice_, "ticket", "") for slice_ in ("", "origin=JFK"))
    found = false_alarms([(0, (ticket,)), (3, (ticket, other)), (24, (ticket,)), (60, (ticket,))])
    assert found == [
        FalseAlarm("gap", "ticket", "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z", ("", "origin=JFK")),
        FalseAlarm("gap", "ticket", "1970-01-03T12:00:00Z", "1970-01-03T12:00:00Z", ("",)),
    ]


def test_a_cause_is_right_by_detector_and_subject() -> None:
    wind = CATALOGUE["wind in m/s"]
    right = Alarm("unit", "wind_speed", "ticket", "")
    assert names_cause(right, wind, ("wind_speed", "wind_gust"))
    assert not names_cause(right, wind, ("temp",))
    assert not names_cause(replace(right, detector="range"), wind, ("wind_speed",))


def _look(state: str) -> WatchedModel:
    fault = Fault("unit", "wind_speed", state, 1.0, 0.5, 10)  # type: ignore[arg-type]
    return WatchedModel("d" * 64, "champion", 10, None, None, (), (), (fault,))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_the_rules_judge_gauges_with_their_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "texts", lambda _: {"alerts.yml": RULES})
    looks = [(10, _look("ok")), (11, _look("page")), (12, _look("unknown"))]
    assert rules.fired(looks, 10, Objectives()) == (Fired("DataUnit", "warning", 2.25),)
    assert rules.fired(looks[:1], 10, Objectives()) == ()
    assert rules.watched_alerts(Objectives()) == ("DataUnit",)


def test_without_promtool_the_rules_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert rules.fired([(10, _look("page"))], 10, Objectives()) is None


def test_what_promtool_says_otherwise_is_an_error() -> None:
    with pytest.raises(ValueError, match="parse error"):
        rules.heard("FAILED: parse error", 0)


def test_the_command_tells_of_each_incident(workspace: Path) -> None:
    where = ["--root", workspace, "--store", workspace / "store", "--public-key", workspace / "signing.pub"]
    only = ["--only", "stuck value", "--only", "nothing arrives", "--short"]
    done = CliRunner().invoke(main, ["incidents", *map(str, where), *only])
    assert done.exit_code == 0, done.output
    assert "stuck value" in done.output
    refused = CliRunner().invoke(main, ["incidents", *map(str, where), "--only", "flood"])
    assert refused.exit_code == 1
    assert "got flood; correct the name" in refused.output


def test_a_fault_that_nobody_notices_ends_the_command_with_1(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = ["--root", workspace, "--store", workspace / "store", "--public-key", workspace / "signing.pub"]
    asked = ["incidents", *map(str, where), "--only", "stuck value", "--seeds", str(SEEDS), "--processes", "1"]
    monkeypatch.setattr("monitoring.incidents.simulator.look", lambda *_: _look("ok"))
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 1
    assert "stuck value: none of 3 was noticed within 24 hours" in done.output


def test_few_seeds_have_as_few_half_years(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = Quiet(6.0, 100, 0, 0, None, None, ())
    monkeypatch.setattr(Study, "part", lambda _, name: quiet if name == "quiet" or name.isdecimal() else None)
    where = ["--root", workspace, "--store", workspace / "store", "--public-key", workspace / "signing.pub"]
    done = CliRunner().invoke(main, ["incidents", *map(str, where), "--seeds", "2", "--processes", "1"])
    assert done.exit_code == 0, done.output
    assert len(read_report(workspace / "reports/incidents.json", IncidentsReport).resampled) == 2


def test_rows_are_counted_until_the_alarm(world: World) -> None:
    replay = inject(world, CATALOGUE["a quiet month"], 0)
    assert sum(replay.rows.values()) == pytest.approx(10 * replay.hours, rel=0.01)
    assert np.all(np.array(list(replay.rows)) >= replay.start)
