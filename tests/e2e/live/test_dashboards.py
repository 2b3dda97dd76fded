"""Every query of every panel, variable and rule returns data on a real Prometheus that monitored a real service: with
answered and refused requests over both protocols, labels, and a restart in between (`pytest -m live`)."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

import cli
from contracts.settings import clean_environment
from deploy.local import processes
from deploy.local.processes import Program, one_running
from deploy.local.stack import Ports
from monitoring.boards import query
from monitoring.boards.preview.render import render
from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.e2e.live.local_prometheus import missing, ports, prometheus_running, without_monitor
from tests.e2e.live.past import write_traffic
from tests.support.payloads import proto, records, rows
from tests.support.serving import Server, Store, start, wait_until
from tests.unit.monitoring.detectors.traffic import made

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(missing()), reason=f"the dashboards' queries are not run: {missing()}"),
]
WITHIN = 120.0  # seconds
MINUTES = 5.0


@dataclass
class Traffic:
    """Sends what the panels show: single rows and batches, what must be refused, and labels."""

    server: Server
    sent: int = 0

    def send(self) -> None:
        self.sent += 1
        numeric, category = rows(1 if self.sent % 5 else 40, seed=self.sent)
        name = f"flight-{self.sent}"
        assert self.server.ask("/v1/predict", records(numeric, category, id=name))[0] == 200
        with grpc.insecure_channel(self.server.grpc) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # written by protoc
            stub.ModelInfer(proto(numeric, category), metadata=[("authorization", f"Bearer {self.server.token}")])
        assert self.server.ask("/v1/predict", b"{")[0] == 400
        assert self.server.ask("/v1/predict", records(numeric, category), token="wrong")[0] == 401  # noqa: S106 - is none
        landed = (datetime.now(UTC) - timedelta(minutes=20)).isoformat().replace("+00:00", "Z")
        labels = [
            {"id": name, "row": row, "value": (self.sent + row) % 3 == 0, "outcome_at": landed}
            for row in range(len(numeric))
        ]
        assert self.server.ask("/v1/labels", {"labels": labels})[0] == 200


@dataclass
class Monitored:
    url: str
    traffic: Traffic
    folder: Path


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory, artifact_store: Store) -> Iterator[Monitored]:
    if trouble := without_monitor():
        pytest.skip(f"the dashboards' queries are not run: {trouble}")
    folder, at = tmp_path_factory.mktemp("monitored"), ports()
    settings: dict[str, Any] = {"rest_port": at.rest, "grpc_port": at.grpc, "metrics_port": at.metrics}
    traffic = Traffic(start(folder, artifact_store, **settings))
    with prometheus_running(folder, at):
        _send_for(traffic, 8)
        assert traffic.server.stop() == 0  # the restart
        traffic.server = start(folder, artifact_store, **settings)
        try:
            _send_for(traffic, 8)
            with monitoring(folder, at, traffic.server, artifact_store):
                yield Monitored(f"http://127.0.0.1:{at.prometheus}", traffic, folder)
        finally:
            assert traffic.server.stop() == 0


def _send_for(traffic: Traffic, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        traffic.send()


@contextmanager
def monitoring(folder: Path, at: Ports, server: Server, champion: Store) -> Iterator[None]:
    """`windsock monitor` once, then `windsock monitor serve` on the port that Prometheus scrapes, which probes, too."""
    monitor = [sys.executable, "-m", "cli", "monitor"]
    where = ["--database", server.database_url]
    model = ["--store", str(champion.store), "--public-key", str(champion.public_key)]
    write_traffic(server.database_url, champion.digest, made(60, seed=2))
    subprocess.run([*monitor, *where, *model], cwd=folder, check=True)
    serve = [*monitor, "serve", "--every", "0", "--port", str(at.monitor), *where, *model]
    probe = {"WINDSOCK_PROBE_URL": f"http://{server.rest}", "WINDSOCK_PROBE_TOKEN_FILE": str(server.token_file)}
    program = Program("monitor", serve, at.monitor, "/metrics", clean_environment() | probe)
    with one_running(program, folder, folder) as process:
        yield
    assert process.returncode == 0


def _empty(monitored: Monitored) -> list[str]:
    result = query.run_queries(monitored.url, MINUTES)
    return [f"{q['dashboard']} / {q['panel']}: {q['expr']}" for q in result["queries"] if not q["points"]]


def test_every_query_returns_data(monitored: Monitored) -> None:
    empty = list[str]()

    def all_have_data() -> bool:
        monitored.traffic.send()
        empty[:] = _empty(monitored)
        return not empty

    assert processes.wait_until(all_have_data, WITHIN), "no data:\n" + "\n".join(empty)
    options = ["--prometheus", monitored.url, "--minutes", str(MINUTES), "--root", str(monitored.folder)]
    run = CliRunner().invoke(cli.main, ["dashboards", "check", *options])
    assert run.exit_code == 0, run.output
    report = json.loads((monitored.folder / "reports/dashboards.json").read_text())
    assert {q["dashboard"] for q in report["queries"]} == {"service", "model", "data", "budgets", "rules"}
    assert all(q["series"] and q["points"] for q in report["queries"])


def test_a_query_without_data_is_named(monitored: Monitored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    boards = query.boards()
    query.panels(boards["model"])[0]["targets"][0]["expr"] = "windsock_absent"
    monkeypatch.setattr(query, "boards", lambda: boards)
    options = ["--prometheus", monitored.url, "--minutes", "1", "--root", str(tmp_path)]
    run = CliRunner().invoke(cli.main, ["dashboards", "check", *options])
    assert run.exit_code == 1
    assert "model / AUC above expectation: windsock_absent" in run.output


def test_each_dashboard_is_drawn(monitored: Monitored, tmp_path: Path) -> None:
    render(monitored.url, tmp_path, MINUTES)
    for name in query.DASHBOARDS:
        picture = (tmp_path / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 50_000


def test_counters_survive_the_restart(monitored: Monitored) -> None:
    """A restart resets the counters, which rate() knows: no rate is negative, none as large as a counter."""
    at = query.Prometheus(monitored.url)
    now = time.time()
    wait_until(lambda: bool(at.range("sum(rate(windsock_requests_total[10s]))", now, time.time(), 1)), "rates", WITHIN)
    found = at.range("sum(rate(windsock_requests_total[10s]))", now - 60, time.time(), 1)
    assert min(series.value.min() for series in found) >= 0
    assert max(series.value.max() for series in found) < 5_000
