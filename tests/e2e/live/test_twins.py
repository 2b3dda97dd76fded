"""Alerts beside what they are about (`pytest -m live`): something real is broken, beside a real service, monitor and
Prometheus; its alert fires, and the commands of its runbook run and say something.

The rules are the real ones, made from objectives that a test has time for, and without `for`: what has to last is
promtool's to judge (tests/unit/monitoring/test_render.py).
"""

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from contracts.objectives import Objectives
from contracts.reference import Reference, pack
from contracts.settings import clean_environment
from deploy.local.processes import Program, one_running
from deploy.local.stack import Ports
from monitoring.boards.data_alerts import DATA_ALERTS
from monitoring.boards.rules import texts
from monitoring.log.database import open_log, opened
from monitoring.log.insert import insert
from monitoring.log.schema import ROLES
from tasks.flights.schema import SCHEMA
from tests.e2e.live.local_prometheus import fetch, missing, ports, prometheus_running
from tests.e2e.live.past import faulty, write_past, write_traffic
from tests.support.payloads import records, rows
from tests.support.serving import Server, Store, descendants, start, wait_until
from tests.support.tiny import KNOWN, tiny_model, write_store
from tests.unit.monitoring.conftest import prediction
from tests.unit.monitoring.detectors.traffic import DAYS, made

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(missing()), reason=f"no alert fires for real: {missing()}"),
]
WITHIN = 60.0  # seconds
RUNBOOKS = Path(__file__).parents[3] / "docs/runbooks"
# What a real fault of this machine cannot show within a minute, and who shows it instead.
IN_A_LOG = {told.alert for told in DATA_ALERTS.values()} - {"StreamEnded", "VolumeUnusual"}
ELSEWHERE = {
    "StreamEnded": "test_detectors.py; it hides what other features of the stream would show here",
    "VolumeUnusual": "test_detectors.py; rows that do not come cannot be faulty",
    "ServiceDown": "test_incident.py, with its `for` and its way to a receiver",
    "Watchdog": "test_alerting.py",
    "AvailabilityBudgetBurnsFast": "promtool; what makes requests alone fail is a full volume, test_full_disk.py",
    "AvailabilityBudgetBurnsSlowly": "promtool, as the fast one",
}


@dataclass(frozen=True)
class Live:
    """A service that answers, under watch. `folder` is its workspace."""

    folder: Path
    at: Ports
    server: Server
    store: Store
    tried: set[str] = field(default_factory=set)  # commands of runbooks; several name the same ones

    @property
    def prometheus(self) -> str:
        return f"http://127.0.0.1:{self.at.prometheus}"

    @property
    def environment(self) -> dict[str, str]:
        """Of somebody who types a command beside the service."""
        words = {
            "STORE": self.store.store, "PUBLIC_KEY": self.store.public_key, "STATE": self.server.state,
            "TOKEN_FILE": self.server.token_file, "DATABASE_URL": self.server.database_url,
        }  # fmt: skip
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {f"WINDSOCK_{name}": str(value) for name, value in words.items()}
        at = {"PROM": self.prometheus, "ALERTMANAGER": f"http://127.0.0.1:{self.at.alertmanager}"}
        return clean_environment() | own | at | {"PATH": programs}

    def firing(self) -> set[str]:
        found = fetch(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
        return {one["labels"]["alertname"] for one in found if one["state"] == "firing"}

    def send(self, requests: int = 1, **options: Any) -> None:
        """Rows of names that the model knows."""
        for number in range(requests):
            numeric, category = rows(1, seed=number)
            category[0] = [KNOWN[name][0] for name in SCHEMA.category_names]
            self.server.ask("/v1/predict", records(numeric, category), **options)

    @contextmanager
    def monitored(self, database: str, *, run: bool = True, probe: str = "") -> Iterator[None]:
        """The monitor's page on this log, after one run; `probe`: what it asks again and again."""
        monitor = [sys.executable, "-m", "cli", "monitor"]
        where = self.environment | {"WINDSOCK_DATABASE_URL": database}
        if probe:
            where |= {"WINDSOCK_PROBE_URL": probe, "WINDSOCK_PROBE_TOKEN_FILE": str(self.server.token_file)}
        if run:
            subprocess.run(monitor, cwd=self.folder, env=where, check=True, capture_output=True)
        serve = [*monitor, "serve", "--port", str(self.at.monitor)]
        program, logs = Program("monitor", serve, self.at.monitor, "/metrics", where), self.folder / "state/stack"
        logs.mkdir(parents=True, exist_ok=True)
        with one_running(program, self.folder, logs) as process:
            yield
        assert process.returncode == 0

    def commands(self, alert: str) -> list[str]:
        """Of the runbook's first look, but for those of a cluster, with the addresses of this stack."""
        blocks = re.findall(r"```sh\n(.*?)```", (RUNBOOKS / f"{alert}.md").read_text(), re.DOTALL)
        lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
        used = {"3000": self.at.rest, "3001": self.at.grpc, "3002": self.at.metrics, "3003": self.at.monitor}
        return [
            re.sub(r"127\.0\.0\.1:(300\d)", lambda found: f"127.0.0.1:{used[found[1]]}", line)
            for line in lines
            if line and "kubectl" not in line
        ]

    def fires(self, alert: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        """It fires, and each command of its runbook tells something while it does."""

        def is_firing() -> bool:
            meanwhile()
            return alert in self.firing()

        wait_until(is_firing, f"{alert} must fire, not only {self.firing()}", WITHIN)
        for command in self.commands(alert):
            if command in self.tried:
                continue
            self.tried.add(command)
            run = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                timeout=180, check=False,
            )  # fmt: skip
            assert run.returncode == 0, f"{alert}: {command}\n{run.stdout}"
            assert run.stdout.strip(), f"{alert}: `{command}` must say something"
            assert '"result":[]' not in run.stdout, f"{alert}: `{command}` must find something, got {run.stdout}"
            assert '"status":"error"' not in run.stdout, f"{alert}: {command}\n{run.stdout}"

    def is_over(self, alert: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        def is_silent() -> bool:
            meanwhile()
            return alert not in self.firing()

        wait_until(is_silent, f"{alert} must end", WITHIN)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, artifact_store: Store) -> Iterator[Live]:
    folder, at = tmp_path_factory.mktemp("twins"), ports()
    settings: dict[str, Any] = {"rest_port": at.rest, "grpc_port": at.grpc, "metrics_port": at.metrics}
    server = start(folder, artifact_store, **settings)
    (folder / "objectives.yaml").write_text("spool_age_seconds: 5\n")
    try:
        with prometheus_running(folder, at, rules=at_once()):
            yield Live(folder, at, server, artifact_store)
    finally:
        server.stop()


def at_once() -> dict[str, str]:
    """The rules of impatient objectives, without `for` and without staying."""
    found = texts(Objectives(spool_age_seconds=5))
    return {
        name: re.sub(r"\n +keep_firing_for: .*", "", re.sub(r"( for:) .*", r"\1 0s", text))
        for name, text in found.items()
    }


def alert_names() -> list[str]:
    return re.findall(r"- alert: (\w+)", "\n".join(texts(Objectives()).values()))


def test_health_is_silent(live: Live) -> None:
    """Even without `for`."""
    write_past(live.server.database_url, live.store.digest)
    live.send(5)
    with live.monitored(live.server.database_url):
        wait_until(lambda: live.firing() == {"Watchdog"}, f"nothing else may fire, got {live.firing()}", WITHIN)
        for _ in range(10):
            live.send()
            time.sleep(0.5)
            assert live.firing() == {"Watchdog"}


def test_callers_that_are_refused(live: Live) -> None:
    live.fires("CallersRefused", lambda: live.send(20, token="wrong"))  # noqa: S106 - is none
    live.is_over("CallersRefused", lambda: live.send(200))


def test_an_instance_that_is_dead(live: Live) -> None:
    targets = live.folder / "targets/windsock-service.yml"
    one = targets.read_text()
    targets.write_text(one + "- targets: ['127.0.0.1:9']\n")
    live.fires("InstanceDown")
    targets.write_text(one)
    live.is_over("InstanceDown")


def test_a_companion_that_does_not_run(live: Live) -> None:
    def kill() -> None:
        for pid in descendants(live.server.pid):
            if "companion" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, 9)

    live.fires("CompanionDown", kill)
    live.is_over("CompanionDown")


def test_a_database_that_is_locked(live: Live) -> None:
    """Rows wait in the spool meanwhile, and none is lost."""
    path, many = live.server.database_url.removeprefix("sqlite:///"), records(*rows(1_000, seed=1))
    with closing(sqlite3.connect(path, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        live.fires("DatabaseDown", live.send)
        live.fires("SpoolOld", live.send)
        live.fires("SpoolFills", lambda: live.server.ask("/v1/predict", many))
        lock.execute("ROLLBACK")
    live.is_over("DatabaseDown", live.send)
    live.is_over("SpoolOld", live.send)


def test_requests_that_are_slow(live: Live) -> None:
    many = records(*rows(3_000, seed=1))
    live.fires("LatencyBudgetBurnsFast", lambda: live.server.ask("/v1/predict", many))
    live.fires("LatencyBudgetBurnsSlowly")


def test_a_service_that_the_prober_cannot_reach(live: Live) -> None:
    with live.monitored(live.server.database_url, run=False, probe="http://127.0.0.1:9"):
        live.fires("ProbeFails")


def test_labels_that_are_late(live: Live) -> None:
    live.send()
    outcome = (datetime.now(UTC) - timedelta(days=3)).isoformat().replace("+00:00", "Z")
    labels = [{"id": f"late-{i}", "row": 0, "value": True, "outcome_at": outcome} for i in range(20)]
    live.fires("LabelsLate", lambda: live.server.ask("/v1/labels", {"labels": labels}))


def test_a_model_that_is_refused(live: Live) -> None:
    nobody = {
        "base": live.store.digest, "champion": "ab" * 32, "challenger": None, "weight": 0.0, "shadow": None,
        "changed_us": time.time_ns() // 1000, "changed_by": "somebody", "reason": "",
    }  # fmt: skip
    with opened(live.server.database_url) as engine, engine.begin() as connection:
        connection.execute(sa.insert(ROLES).values(nobody))
    live.fires("ModelRefused")
    subprocess.run(
        [sys.executable, "-m", "cli", "models", "rollback"],
        cwd=live.folder, env=live.environment, check=True, capture_output=True,
    )  # fmt: skip
    live.is_over("ModelRefused")


def test_a_monitor_that_is_gone(live: Live) -> None:
    live.fires("MonitorSilent")
    with live.monitored(live.server.database_url):
        live.is_over("MonitorSilent")


def test_a_monitor_that_never_ran(live: Live, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'new.db'}"
    open_log(database).dispose()
    with live.monitored(database, run=False):
        live.fires("MonitorNeverRan")


def test_a_log_that_ended_two_days_ago_and_has_no_labels(live: Live, tmp_path: Path) -> None:
    database, then = f"sqlite:///{tmp_path / 'old.db'}", datetime.now(UTC).replace(tzinfo=None) - timedelta(days=2)
    engine = open_log(database)
    numeric, category = rows(400, seed=1)
    insert(
        engine,
        [
            prediction(f"old-{i}", live.store.digest, then, then, numeric[i : i + 1], category[i : i + 1], [0.5])
            for i in range(400)
        ],
    )
    engine.dispose()
    with live.monitored(database):
        live.fires("DataStale")
        live.fires("QualityUnknown")


def test_a_model_that_answers_the_opposite(live: Live, tmp_path: Path) -> None:
    """Worse than its reference scorer on the same rows, in each slice, and than its own scores let expect."""
    database = f"sqlite:///{tmp_path / 'broken.db'}"
    open_log(database).dispose()
    write_past(database, live.store.digest, opposite=True)
    with live.monitored(database):
        live.fires("ModelWorseThanReference")
        live.fires("SliceWorseThanReference")
        live.fires("QualityGap")
        live.fires("Miscalibrated")
        live.fires("RetrainingWouldHelp")


def test_faults_of_the_data(live: Live, tmp_path: Path) -> None:
    """All of them in one log, each of other columns: a client that was rewritten badly, and a source of labels, too."""
    database = f"sqlite:///{tmp_path / 'faults.db'}"
    sample = made(5, seed=1)
    digest = write_store(tmp_path, tiny_model(), reference=pack(Reference(sample.numeric, sample.category)))
    open_log(database).dispose()
    write_traffic(database, digest, faulty(made(DAYS, seed=2)))
    watched = replace(live, store=Store(tmp_path / "store", tmp_path / "signing.pub", digest), tried=set())
    with watched.monitored(database):
        for alert in sorted(IN_A_LOG):
            watched.fires(alert)


def test_nobody_asks_at_an_hour_when_many_did_a_week_ago(tmp_path: Path, artifact_store: Store) -> None:
    """The week before is written into Prometheus' own storage, as it would have seen it."""
    at, week_ago = ports(), time.time() - 7 * 86_400
    lines = ["# TYPE windsock_requests counter"]
    for number in range(-120, 120):
        labels = 'job="windsock-service",instance="before",protocol="rest",code="ok"'
        lines.append(f"windsock_requests_total{{{labels}}} {number + 120} {week_ago + 15 * number:.3f}")
    (tmp_path / "past.txt").write_text("\n".join([*lines, "# EOF", ""]))
    blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "past.txt", "prometheus"]
    subprocess.run(blocks, cwd=tmp_path, check=True, capture_output=True)
    settings: dict[str, Any] = {"rest_port": at.rest, "grpc_port": at.grpc, "metrics_port": at.metrics}
    server = start(tmp_path, artifact_store, **settings)
    try:
        with prometheus_running(tmp_path, at, rules=at_once()):
            live = Live(tmp_path, at, server, artifact_store)
            live.fires("NothingArrives")
            live.is_over("NothingArrives", live.send)
    finally:
        server.stop()


def test_each_alert_fires_somewhere() -> None:
    """Taken from what the tests above name; what none does says who shows it instead."""
    shown = IN_A_LOG | set(re.findall(r'\.fires\("(\w+)"', Path(__file__).read_text()))
    assert sorted(set(alert_names()) - shown - set(ELSEWHERE)) == []
