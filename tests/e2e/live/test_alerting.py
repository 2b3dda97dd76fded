"""The alarm chain, for real: Prometheus evaluates our rules, Alertmanager routes them, a receiver gets them."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.local.processes import Program, one_running
from deploy.local.stack import OBSERVABILITY, Ports
from tests.e2e.live.local_prometheus import fetch, missing, ports, prometheus_running
from tests.support.serving import free_ports, wait_until

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"the alarm chain is not tested: {missing()}")
needs_amtool = pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed")
WITHIN = 60.0  # seconds
OUTSIDE = "https://ops.example.org/windsock"


@dataclass
class Received:
    """(path, message) of each webhook call."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def alerts(self, path: str) -> list[str]:
        return [alert["labels"]["alertname"] for at, body in self.calls if at == path for alert in body["alerts"]]


@dataclass
class Chain:
    at: Ports
    received: Received

    @property
    def alertmanager(self) -> str:
        return f"http://127.0.0.1:{self.at.alertmanager}/api/v2/alerts"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    received = Received()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.calls.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the overridden name
            pass

    at = ports()
    with HTTPServer(("127.0.0.1", at.alerts), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with prometheus_running(tmp_path_factory.mktemp("chain"), at, external_url=OUTSIDE):
            yield Chain(at, received)
        server.shutdown()


def test_the_watchdog_arrives(chain: Chain) -> None:
    """Rules, routing and webhook work together. Taken out anywhere, nothing arrives."""
    wait_until(lambda: "Watchdog" in chain.received.alerts("/watchdog"), "the heartbeat must arrive", WITHIN)
    ((_, body), *_) = [call for call in chain.received.calls if call[0] == "/watchdog"]
    (watchdog,) = body["alerts"]
    assert watchdog["annotations"]["runbook_url"] == f"{OUTSIDE}/monitor/runbooks/Watchdog"
    assert watchdog["annotations"]["page_url"] == f"{OUTSIDE}/monitor/"
    assert watchdog["generatorURL"].startswith(f"{OUTSIDE}/prometheus/graph?")
    assert body["externalURL"] == f"{OUTSIDE}/alertmanager"


def test_no_rule_fails_to_evaluate(chain: Chain) -> None:
    def rules() -> list[dict[str, Any]]:
        groups = fetch(f"http://127.0.0.1:{chain.at.prometheus}/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), "each rule must be evaluated", WITHIN)
    assert len(rules()) == 59
    assert [rule["name"] for rule in rules() if rule["health"] != "ok"] == []


def test_who_knows_the_cause_does_not_hear_the_symptoms(chain: Chain) -> None:
    symptoms = {"LatencyBudgetBurnsFast": "critical", "SpoolOld": "warning", "DataStale": "warning"}
    bystanders = {"ModelWorseThanReference": "critical"}
    sent = {"ServiceDown": "critical", **symptoms, **bystanders}
    job = {"DataStale": "windsock-monitor", "ModelWorseThanReference": "windsock-monitor"}
    fetch(
        chain.alertmanager,
        [
            {"labels": {"alertname": name, "severity": severity, "job": job.get(name, "windsock-service")}}
            for name, severity in sent.items()
        ],
    )

    def states() -> dict[str, str]:
        return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in fetch(chain.alertmanager)}

    wait_until(lambda: states().get("LatencyBudgetBurnsFast") == "suppressed", "the symptom must be muted", WITHIN)
    found = states()
    assert {name: found[name] for name in symptoms} == dict.fromkeys(symptoms, "suppressed")
    assert (found["ServiceDown"], found["ModelWorseThanReference"]) == ("active", "active")
    wait_until(lambda: "ServiceDown" in chain.received.alerts("/critical"), "the cause must arrive", WITHIN)
    assert chain.received.alerts("/warning") == []


def test_many_of_one_kind_are_one_message_and_no_alarm(chain: Chain) -> None:
    labels = {"alertname": "QualityUnknown", "severity": "info", "job": "windsock-monitor"}
    fetch(chain.alertmanager, [{"labels": {**labels, "feature": f"f{i}"}} for i in range(34)])

    def messages() -> list[dict[str, Any]]:
        groups = fetch(chain.alertmanager + "/groups")
        return [group for group in groups if group["labels"].get("alertname") == "QualityUnknown"]

    wait_until(lambda: bool(messages()), "Alertmanager must group them", WITHIN)
    (message,) = messages()
    assert (message["receiver"]["name"], len(message["alerts"])) == ("info", 34)


@needs_amtool
def test_amtool_accepts_the_routes() -> None:
    command = ["amtool", "check-config", str(OBSERVABILITY / "alertmanager.yml")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@needs_amtool
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=Watchdog severity=none", "watchdog"),
        ("alertname=ServiceDown severity=critical", "critical"),
        ("alertname=DataStale severity=warning", "warning"),
        ("alertname=QualityUnknown severity=info", "info"),
    ],
)
def test_each_severity_has_its_receiver(labels: str, receiver: str) -> None:
    command = [
        "amtool",
        "config",
        "routes",
        "test",
        f"--config.file={OBSERVABILITY / 'alertmanager.yml'}",
        *labels.split(),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == receiver


def test_windsock_alerts_writes_each_alert_to_its_log(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    log = tmp_path / "alerts.log"
    program = Program("alerts", [sys.executable, "-m", "cli", "alerts", "--port", str(port)], port, "/")
    with one_running(program, tmp_path, tmp_path):
        wait_until(lambda: "Alerts are written here" in log.read_text(), "the receiver must start")
        labels = {"alertname": "DatabaseDown", "severity": "critical", "instance": "a:3002"}
        notes = {"summary": "a:3002 cannot write the prediction log.", "runbook_url": "docs/runbooks/DatabaseDown.md"}
        message = {"alerts": [{"status": "firing", "labels": labels, "annotations": notes}]}
        fetch(f"http://127.0.0.1:{port}/critical", message)
        wait_until(
            lambda: "FIRING  critical  DatabaseDown  instance=a:3002" in log.read_text(), "the line must be there"
        )
        wrongs: tuple[Any, ...] = ({"alerts": 3}, [], {"alerts": [{"status": "firing"}]})
        for wrong in wrongs:
            with pytest.raises(OSError, match="400"):
                fetch(f"http://127.0.0.1:{port}/critical", wrong)
        fetch(f"http://127.0.0.1:{port}/critical", message)  # it goes on
