"""Incidents of the stack: the real rules, judged by promtool, fire on what they are about and on nothing else."""

import re
import shutil

import numpy as np
import pytest

from contracts.objectives import Objectives
from monitoring.boards.rules import texts
from monitoring.incidents import signals
from monitoring.incidents.catalogue import CATALOGUE
from monitoring.incidents.rules import watched_alerts
from monitoring.incidents.signals import HEALTH, SIGNALS, Signal, Signals, result

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed"
)
ELSEWHERE = {
    "Watchdog": "it always fires",
    "QualityUnknown": "of a whole look; promtool has it (rules/tests/model.yml)",
    "DataStale": "of a whole look; promtool has it (rules/tests/data.yml)",
    "MonitorNeverRan": "promtool has it (rules/tests/monitor.yml)",
}


@pytest.mark.parametrize("name", ["all calls refused (401)", "database dead at night", "a fiftieth of calls fails"])
def test_a_fault_fires_its_alert(name: str) -> None:
    found = result(SIGNALS[name], Objectives())
    assert found is not None
    assert (found.detected, found.named_cause_right, found.detector) == (1, 1, SIGNALS[name].alert)
    assert {one.alert for one in found.fired} <= {SIGNALS[name].alert, "AvailabilityBudgetBurnsSlowly"}
    assert all(one.hours > 0 for one in found.fired), "health before it is silent"


@pytest.mark.parametrize("name", [one.name for one in SIGNALS.values() if not one.alert])
def test_what_is_no_fault_fires_nothing(name: str) -> None:
    found = result(SIGNALS[name], Objectives())
    assert found is not None
    assert (found.kind, found.detected, found.fired) == ("silent", 0, ())


def test_another_alert_does_not_name_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: re.sub("CallersRefused", "Other", text) for name, text in texts(Objectives()).items()}
    monkeypatch.setattr(signals, "texts", lambda _: kept)
    found = result(SIGNALS["all calls refused (401)"], Objectives())
    assert found is not None
    assert (found.detector, found.named_cause_right) == ("Other", 0)


def test_each_alert_has_an_incident() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", "".join(texts(Objectives()).values())))
    assert alerts - set(watched_alerts(Objectives())) - {one.alert for one in SIGNALS.values()} == set(ELSEWHERE)
    assert not set(SIGNALS) & set(CATALOGUE)


def test_a_fault_of_a_series_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="windsock_other"):
        Signals(Objectives(), HEALTH).set(0, "windsock_other")


def test_a_counter_begins_again_after_a_gap() -> None:
    stack = Signals(Objectives(), HEALTH)
    SIGNALS["a rolling update"].change(stack)
    written = {one["series"]: one["values"].split() for one in stack.written()}
    (series,) = [values for name, values in written.items() if "a:3002" in name and 'code="ok"' in name]
    assert series[HEALTH + 10] == "_"
    assert float(series[HEALTH + 9]) > 100 * float(series[HEALTH + 11]) > 0
    assert len({len(values) for values in written.values()}) == 1


def test_without_promtool_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert result(Signal("a", "ServiceDown", "", lambda _: None), Objectives()) is None


def test_unknown_is_written_as_prometheus_scrapes_it() -> None:
    stack = Signals(Objectives(), 0)
    stack.set(signals.UNKNOWN, "data_age")
    stack.set(np.nan, "windsock_probe_success")
    values = {one["series"].partition("{")[0]: one["values"].split()[0] for one in stack.written()}
    assert (values["windsock_data_age_seconds"], values["windsock_probe_success"]) == ("NaN", "_")
