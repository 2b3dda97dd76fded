"""Who receives alerts notices that none can come any more: Prometheus is killed, and nothing else says a word."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from deploy.local.processes import Program, one_running
from deploy.local.stack import OBSERVABILITY
from monitoring.monitor.server import silence
from tests.e2e.live.local_prometheus import missing, ports, prometheus_running
from tests.support.serving import wait_until

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"the alarm chain is not tested: {missing()}")
LIMIT = 8.0  # seconds without a heartbeat; here it comes each second or two


def heartbeat(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/heartbeat", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_prometheus_is_killed_and_the_receiver_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    (shared / "rules").mkdir(parents=True)
    for path in (p for p in OBSERVABILITY.rglob("*.yml") if "tests" not in p.parts):
        (shared / path.relative_to(OBSERVABILITY)).parent.mkdir(exist_ok=True, parents=True)
        text = path.read_text().replace("group_interval: 1m", "group_interval: 1s")
        (shared / path.relative_to(OBSERVABILITY)).write_text(
            text.replace("repeat_interval: 1m ", "repeat_interval: 1s ")
        )
    monkeypatch.setattr("deploy.local.stack.OBSERVABILITY", shared)
    at, log = ports(), tmp_path / "alerts.log"
    command = [sys.executable, "-m", "cli", "alerts", "--port", str(at.alerts), "--watchdog-seconds", str(LIMIT)]
    with one_running(Program("alerts", command, at.alerts, "/healthz"), tmp_path, tmp_path):
        with prometheus_running(tmp_path, at):
            time.sleep(LIMIT + 4)  # longer than it waits from its start on
            wait_until(lambda: heartbeat(at.alerts)[0] == 200, "the Watchdog must come", 30)
            (prometheus,) = (
                child for child in psutil.Process().children() if f":{at.prometheus}" in " ".join(child.cmdline())
            )
            assert heartbeat(at.alerts)[0] == 200
            assert silence(f"http://127.0.0.1:{at.alerts}") is None
            os.kill(prometheus.pid, signal.SIGKILL)
            wait_until(lambda: heartbeat(at.alerts)[0] == 503, "the silence must be noticed", LIMIT + 30)
            assert "no Watchdog has come for" in heartbeat(at.alerts)[1]
            wait_until(lambda: "FIRING  critical  WatchdogMissing" in log.read_text(), "it must be in the log", 10)
            assert "the way from them is broken" in (silence(f"http://127.0.0.1:{at.alerts}") or "")
            with urllib.request.urlopen(f"http://127.0.0.1:{at.alerts}/metrics", timeout=5) as answer:
                assert b"\nwindsock_watchdog_missing 1\n" in answer.read()
            with urllib.request.urlopen(f"http://127.0.0.1:{at.alerts}/healthz", timeout=5) as answer:
                assert answer.status == 200, "it goes on receiving"
        with prometheus_running(tmp_path, at):
            wait_until(lambda: heartbeat(at.alerts)[0] == 200, "the Watchdog comes again", 40)
            assert "RESOLVED  critical  WatchdogMissing" in log.read_text()
