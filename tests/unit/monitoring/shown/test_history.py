"""Incidents out of the kept reports: begin, end, and that not knowing ends none."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from contracts.reports.watching import Fault, Instrument, State, WatchedModel, WindowQuality
from monitoring.monitor import page, results
from monitoring.monitor.shown.history import Found, spells
from tests.unit.monitoring.conftest import World, recently

START = datetime(2013, 11, 1, 8)
QUALITY = WindowQuality(28, "", 30_000, 29_000, 28_000, 0.736, 0.5, 0.2, 0.2, 0.738, 0.713, 0.763)


def model(paired: State = "ok", stuck: State = "ok") -> WatchedModel:
    one = Instrument("paired", "", 0, "nats", 0.001, -0.1, 0.1, 1.0, 100.0, paired, f"it is {paired}")
    fault = Fault("stuck", "temp", stuck, 1, 1, 9, "temp does not move" if stuck == "ticket" else "")
    return WatchedModel("d" * 64, "champion", 9, None, None, (QUALITY,), (one,), (fault,))


def found(*models: WatchedModel) -> Found:
    return msgspec.json.decode(msgspec.json.encode({"watched": models, "format": 99}), type=Found)


def test_a_spell_goes_from_the_first_report_that_says_it_to_the_one_that_takes_it_back() -> None:
    said = [model(), model(stuck="ticket"), model(stuck="unknown"), model(stuck="ticket"), model(), model("page")]
    open_, over = spells((START + timedelta(hours=hour), found(one)) for hour, one in enumerate(said))
    assert (over.what, over.began, over.ended) == ("stuck temp", START + timedelta(hours=1), START + timedelta(hours=4))
    assert (open_.state, open_.ended, open_.why) == ("page", None, "it is page")


def test_the_worst_state_is_kept() -> None:
    (one,) = spells((START, found(model(state))) for state in ("ticket", "page", "ticket"))
    assert one.state == "page"


def test_a_model_that_does_not_answer_any_more_ends_nothing() -> None:
    (one,) = spells([(START, found(model("page"))), (START + timedelta(hours=1), found())])
    assert one.ended is None


@pytest.fixture
def busy(world: World) -> World:
    world.log(world.flights("f", recently(hours=1), 20, None))
    return world


def test_the_page_says_since_when_and_shows_incidents(busy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for one in (model(), model("page"), model("page")):
        monkeypatch.setattr("monitoring.monitor.job.watch", lambda *_, one=one: (one,))
        busy.run(files=False)
    past = results.history(busy.database)
    html = page.render(results.newest(busy.database), None, datetime.now(UTC), past=past)
    assert [(one.what, one.ended) for one in past] == [("worse than its reference scorer on the same rows", None)]
    assert f"Since {past[0].began:%Y-%m-%d %H}h UTC." in html
    assert "<td>open</td>" in html
    monkeypatch.setattr("monitoring.monitor.job.watch", lambda *_: (model(),))
    busy.run(files=False)
    past = results.history(busy.database)
    html = page.render(results.newest(busy.database), None, datetime.now(UTC), past=past)
    assert past[0].ended is not None
    assert "when the last finding was over" in html
    assert "<td>open</td>" not in html


def test_a_result_that_cannot_be_read_is_left_out_of_the_history(busy: World) -> None:
    assert results._found("{") is None
    assert results._found('{"format": 1}') == Found()
    assert results.history(busy.database) == ()
