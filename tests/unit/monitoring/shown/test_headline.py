"""The first lines of the page: good, ticket, page, unknown; since when; and what the runbook says to do first."""

import msgspec
import pytest

from contracts.reports.watching import Fault, Instrument, Question, State, WatchedModel, WindowQuality
from monitoring.detectors.detect import DETECTORS
from monitoring.monitor.shown import remedy
from monitoring.monitor.shown.headline import Headline, judged

QUALITY = WindowQuality(28, "", 30_000, 29_000, 28_000, 0.736, 0.5, 0.2, 0.2, 0.738, 0.713, 0.763)
SENTENCE = "AUC .736 in the last 28 days; these flights deserve .713 to .763"


def instrument(state: State, question: Question = "paired", slice_: str = "") -> Instrument:
    return Instrument(question, slice_, 0, "nats", 0.001, -0.1, 0.1, 1.0, 100.0, state, "because of it")


def model(*found: Instrument | Fault, quality: WindowQuality | None = QUALITY) -> WatchedModel:
    return WatchedModel(
        "d" * 64, "champion", 30_000, None, None, (quality,) if quality else (),
        tuple(one for one in found if isinstance(one, Instrument)),
        tuple(one for one in found if isinstance(one, Fault)),
    )  # fmt: skip


def fault(state: State = "ticket", detector: str = "labels_late") -> Fault:
    return Fault(detector, "a", state, 1.0, 0.5, 90, "a is wrong", "2013-11-02T03:00:00Z")


def said(made: WatchedModel) -> Headline:
    return judged(made, "flights")


def test_good_is_what_these_rows_deserve_and_nothing_to_do() -> None:
    found = said(model(instrument("ok")))
    assert (found.kind, found.word, found.why, found.todo) == ("good", "As it should be.", SENTENCE, None)


@pytest.mark.parametrize(("auc", "side"), [(0.7, "below"), (0.78, "above")])
def test_a_quality_outside_of_what_is_deserved_is_said(auc: float, side: str) -> None:
    found = said(model(instrument("ok"), quality=msgspec.structs.replace(QUALITY, auc=auc)))
    assert f", {side} what is expected: these flights deserve .713 to .763" in found.why


def test_a_page_is_broken_and_names_its_remedy() -> None:
    found = said(model(instrument("page"), instrument("ticket", "gap")))
    assert (found.kind, found.style) == ("broken", "bad")
    assert found.why == "worse than its reference scorer on the same rows: because of it"
    assert found.quality == SENTENCE
    assert found.todo is not None
    assert found.todo.alert == "ModelWorseThanReference"
    assert "windsock models rollback" in found.todo.first


@pytest.mark.parametrize(
    ("one", "alert"),
    [
        (instrument("ticket", "gap"), "QualityGap"),
        (instrument("ticket", "paired", "x=y"), "SliceWorseThanReference"),
        (fault(), "LabelsLate"),
    ],
)
def test_a_ticket_is_to_be_looked_at(one: Instrument | Fault, alert: str) -> None:
    found = said(model(instrument("ok"), one))
    assert (found.kind, found.style) == ("look", "warn")
    assert found.todo is not None
    assert found.todo.alert == alert


def test_a_fault_of_the_data_comes_before_what_it_explains_with_its_begin() -> None:
    found = said(model(instrument("ticket", "gap"), fault()))
    assert (found.why, found.since) == ("a is wrong", "2013-11-02T03:00:00Z")


@pytest.mark.parametrize(
    "made",
    [
        model(instrument("unknown")),
        model(instrument("ok"), quality=None),
        model(instrument("ok"), quality=msgspec.structs.replace(QUALITY, auc=None, why="few labels")),
        model(instrument("ok"), quality=msgspec.structs.replace(QUALITY, expected_low=None)),
        model(),
        model(instrument("unknown"), fault("unknown")),
    ],
)
def test_what_is_not_known_is_never_good(made: WatchedModel) -> None:
    found = said(made)
    assert (found.kind, found.style) == ("unknown", "soft")
    assert found.why
    assert found.todo is not None


def test_each_question_and_each_detector_has_a_runbook_that_says_what_to_do_first() -> None:
    assert set(DETECTORS) <= set(remedy.DETECTORS)
    alerts = [*remedy.QUESTIONS.values(), *(remedy.DETECTORS[name] for name in DETECTORS)]
    for alert in (*alerts, remedy.UNKNOWN, remedy.SILENT, remedy.DATABASE, "SliceWorseThanReference"):
        found = remedy.remedy(alert)
        assert found is not None, alert
        assert "`" not in found.first
    assert remedy.remedy("NoSuchAlert") is None
