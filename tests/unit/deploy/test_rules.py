"""Rules: parsed and tested by promtool; each alert complete, tested both ways, and with a runbook on disk."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cli import main
from contracts.objectives import Objectives
from monitoring.boards.query import DASHBOARDS
from monitoring.boards.rules import texts
from monitoring.boards.slo import Slo, slos

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy/observability/rules"
ALWAYS = "Watchdog"  # fires always: it can have no silent test
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed: rules are not tested"
)


def _rules(kind: str) -> list[dict[str, Any]]:
    loaded = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))]
    return [rule for file in loaded for group in file["groups"] for rule in group["rules"] if kind in rule]


def _cases() -> list[dict[str, Any]]:
    loaded = [yaml.safe_load(path.read_text()) for path in sorted((RULES / "tests").glob("*.yml"))]
    return [case for file in loaded for test in file["tests"] for case in test["alert_rule_test"]]


ALERTS = _rules("alert")
names = pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])


def _promtool(*arguments: str | Path) -> None:
    run = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@needs_promtool
def test_promtool_accepts_every_rule() -> None:
    _promtool("check", "rules", *sorted(RULES.glob("*.yml")))


@needs_promtool
@pytest.mark.parametrize("file", sorted((RULES / "tests").glob("*.yml")), ids=lambda path: path.stem)
def test_promtool_sees_each_alert_fire_and_keep_silent(file: Path) -> None:
    _promtool("test", "rules", file)


@needs_promtool
@pytest.mark.parametrize("instead", ["vector(0) == 1", "vector(1)"], ids=["never", "always"])
def test_the_tests_notice_alerts_that_never_or_always_fire(instead: str, tmp_path: Path) -> None:
    shutil.copytree(RULES, tmp_path / "rules")
    for path in RULES.glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:  # without texts, which would be filled in at each evaluation
                    rule |= {"expr": instead, "annotations": {}}
        (tmp_path / "rules" / path.name).write_text(yaml.safe_dump(rules))
    files = sorted((tmp_path / "rules/tests").glob("*.yml"))
    run = subprocess.run(["promtool", "test", "rules", *files], capture_output=True, text=True, check=False)
    said = run.stdout + run.stderr
    # A firing test fails with an alert that it expected, a silent one with none expected.
    wanted = r"\[\n" if instead == "vector(0) == 1" else r"\[\]"
    noticed = set(re.findall(rf"alertname: (\w+), time: \S+ *\n *exp:{wanted}", said))
    assert noticed == {alert["alert"] for alert in ALERTS} - ({ALWAYS} if instead == "vector(1)" else set()), said[
        :4000
    ]


@names
def test_an_alert_is_complete(alert: dict[str, Any]) -> None:
    name = alert["alert"]
    assert "for" in alert
    assert alert["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"


@names
def test_an_alert_has_a_firing_and_a_silent_test(alert: dict[str, Any]) -> None:
    cases = [case for case in _cases() if case["alertname"] == alert["alert"]]
    assert any(case["exp_alerts"] for case in cases), "no test in which it fires"
    if alert["alert"] != ALWAYS:
        assert any(not case["exp_alerts"] for case in cases), "no test in which it is silent"


@names
def test_a_runbook_says_what_to_do(alert: dict[str, Any]) -> None:
    text = (ROOT / alert["annotations"]["runbook_url"]).read_text(encoding="utf-8")
    assert text.startswith(f"# {alert['alert']}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Meaning", "Impact", "First look", "Mend"]
    look = text.split("## First look")[1].split("## Mend")[0]
    assert "```sh\n" in look, "no command to look with"


def test_there_is_no_runbook_without_an_alert() -> None:
    found = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")} - {"README"}
    assert found == {alert["alert"] for alert in ALERTS}


def test_every_recording_rule_is_used_by_an_alert_or_a_rule_of_the_budget() -> None:
    asked = " ".join(rule["expr"] for rule in (*ALERTS, *_rules("record")))
    for rule in _rules("record"):
        assert re.fullmatch(r"[a-z_]+:windsock_\w+:\w+", rule["record"]), "names are level:metric:operation"
        assert rule["record"] in asked or rule["record"].endswith(":budget_left30d")


def test_drift_is_information() -> None:
    """Decision: drift is described, and no rule looks at it: no threshold holds a stated rate on seasons."""
    assert [alert["alert"] for alert in ALERTS if "windsock_drift" in alert["expr"]] == []


def test_unknown_resolves_no_page_on_quality() -> None:
    pages = [alert for alert in ALERTS if "windsock_instrument_state" in alert["expr"]]
    assert len(pages) == 5
    assert {alert["keep_firing_for"] for alert in pages} == {"2h"}


@pytest.mark.parametrize("slo", slos(Objectives()), ids=lambda slo: slo.name)
def test_an_objective_has_a_page_a_ticket_and_a_budget(slo: Slo) -> None:
    asked = {alert["labels"]["severity"]: alert["expr"] for alert in ALERTS if slo.ratio("6h") in alert["expr"]}
    assert set(asked) == {"critical", "warning"}
    assert slo.series("budget_left30d") in {rule["record"] for rule in _rules("record")}


def test_the_committed_rules_are_what_the_code_builds() -> None:
    assert {path.name: path.read_text() for path in RULES.glob("*.yml")} == texts(Objectives())


def test_the_dashboard_shows_the_very_limits_of_the_alerts() -> None:
    """A margin, an hour or a share that stands twice must stand there alike."""
    text = (RULES / "alerts.yml").read_text()
    boards = {name: (ROOT / f"deploy/observability/dashboards/{name}.json").read_text() for name in DASHBOARDS}
    assert "windsock_data_age_seconds > 7 * 3600" in text
    assert '"value": 25200' in boards["data"]
    assert "windsock_spool_oldest_seconds > 60" in text
    assert '"value": 60' in boards["service"]
    codes = re.search(r'code=~"([^"]+)"', (RULES / "slo.yml").read_text())
    assert codes is not None
    assert codes[1] in boards["service"]


ONE_EDIT = {
    "latency_seconds: 0.05": (
        {"slo.yml": ['le="0.05"', "longer than 50 ms"]},
        {"service": ['le=\\"0.05\\"', "Within 50 ms", '"value": 0.05']},
        ["20 ms", 'le="0.02"'],
    ),
    "data_age_hours: 30": (
        {"alerts.yml": ["windsock_data_age_seconds > 30 * 3600", "shorter than 30 hours"]},
        {"data": ["over 30 hours", '"value": 108000']},
        ["7 hours", "25200"],
    ),
    "label_delay_hours: 24": (
        {"recording.yml": ['le="86400.0"'], "alerts.yml": ["over 24 hours"]},
        {"data": ["Dashed: 24 hours", '"value": 86400']},
        ["6 hours", "21600"],
    ),
}


@pytest.mark.parametrize("edit", ONE_EDIT)
def test_a_number_is_changed_by_one_edit(edit: str, tmp_path: Path) -> None:
    """Rules and boards of a workspace with this line in its objectives.yaml; the monitor's page and the demo's checks
    have tests of their own."""
    rules, boards, gone = ONE_EDIT[edit]
    (tmp_path / "objectives.yaml").write_text(f"{edit}\n")
    built = CliRunner().invoke(main, ["dashboards", "build", "--root", str(tmp_path)])
    assert built.exit_code == 0, built.output
    made = tmp_path / "deploy/observability"
    for name, wanted in rules.items():
        assert all(text in (made / "rules" / name).read_text() for text in wanted), name
    for name, wanted in boards.items():
        found = (made / f"dashboards/{name}.json").read_text()
        assert all(text in found for text in wanted), name
    everything = "".join(path.read_text() for path in made.rglob("*.*"))
    assert [text for text in gone if text in everything] == []


@needs_promtool
def test_promtool_accepts_rules_of_other_objectives(tmp_path: Path) -> None:
    (tmp_path / "objectives.yaml").write_text("latency_seconds: 1\nmonitor_silent_hours: 5\nspool_age_seconds: 1e3\n")
    assert CliRunner().invoke(main, ["dashboards", "build", "--root", str(tmp_path)]).exit_code == 0
    _promtool("check", "rules", *sorted((tmp_path / "deploy/observability/rules").glob("*.yml")))
