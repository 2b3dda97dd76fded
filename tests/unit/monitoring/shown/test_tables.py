"""Slices and faults of the data on the page: the worst first, what is unknown folded, and what is wrong linked."""

from datetime import UTC, datetime

import msgspec
import pytest

from contracts.reports.watching import Fault, Instrument, State, WatchedModel, WindowQuality
from monitoring.monitor import page, results
from monitoring.monitor.shown.faults import fault_table
from monitoring.monitor.shown.slices import slice_rows
from tests.unit.monitoring.conftest import World, recently


def window(name: str, auc: float | None, why: str = "") -> WindowQuality:
    return WindowQuality(28, name, 900, 800, 400, auc, 0.5, 0.3, 0.2, 0.75, 0.7, 0.8, why)


def gap(name: str, state: State) -> Instrument:
    return Instrument("gap", name, 28, "AUC", 0.1, 0, 0.2, 1.0, 2.0, state, f"{name or 'all'} is so")


WINDOWS = (window("", 0.74), window("a=x", 0.74), window("a=y", 0.72), window("a=z", 0.6), window("b=few", None, "few"))
STATES: tuple[tuple[str, State], ...] = (("", "ok"), ("a=x", "ticket"), ("a=y", "ok"), ("a=z", "ok"), ("b=few", "ok"))
FAULTS = (
    Fault("stuck", "wind", "ok", 1, 2, 9),
    Fault("unit", "wind", "unknown", None, None, 9),
    Fault("labels_late", "", "ticket", 1, 0.5, 9, "labels are late", "2013-11-02T03:00:00Z"),
    Fault("stuck", "temp", "page", 3, 2, 9, "temp does not move", None),
)
MODEL = WatchedModel("d" * 64, "champion", 900, None, None, WINDOWS, tuple(gap(*one) for one in STATES), FAULTS)


def test_the_worst_slice_is_first_and_what_nobody_could_judge_is_last_and_not_ok() -> None:
    rows = slice_rows(MODEL)
    assert [(row.name, row.state) for row in rows] == [
        ("a=x", "ticket"), ("a=z", "ok"), ("a=y", "ok"), ("b=few", "unknown"),
    ]  # fmt: skip
    assert (rows[0].coverage, rows[0].why, rows[-1].why) == (0.5, "a=x is so", "few")


def test_a_slice_that_no_instrument_judged_is_unknown() -> None:
    (row, *_) = slice_rows(msgspec.structs.replace(MODEL, instruments=(), windows=WINDOWS[1:2]))
    assert row.state == "unknown"


def test_faults_are_grouped_and_pages_come_first() -> None:
    found = fault_table(MODEL)
    assert [group.detector for group in found.wrong] == ["stuck", "labels_late"]
    assert found.wrong[1].todo is not None
    assert (found.unknown, found.sound) == ((("unit", ("wind",)),), 1)


@pytest.fixture
def html(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page of a run whose instruments said what they say here of champion and shadow."""
    shadow = msgspec.structs.replace(MODEL, digest="e" * 64, role="shadow", faults=())
    monkeypatch.setattr("monitoring.monitor.job.watch", lambda *_: (shadow, MODEL))
    world.log(world.flights("f", recently(hours=1), 20, None))
    world.run(files=False)
    return page.render(results.newest(world.database), None, datetime.now(UTC))


def test_the_page_shows_models_side_by_side_with_faults_and_slices(html: str) -> None:
    assert html.index("dddddddddddd</span>, champion") < html.index("eeeeeeeeeeee</span>, shadow")
    assert '<span class="bad">Broken.</span>' in html
    assert "Temp does not move." in html
    assert '<a href="runbooks/LabelsLate">labels_late</a>' in html
    assert "2013-11-02 03h" in html
    assert html.index(">a=x<") < html.index(">a=z<") < html.index(">b=few<")
    assert "No detector has looked." in html
    assert 'class="good"' not in html
