"""A second task through the very same stages, service, log and monitor: rain, on every seventh hour, small networks.

No module of ours knows of it but its own.
"""

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from contracts.reports import read_report
from contracts.reports.monitoring import Monitoring
from contracts.settings import clean_environment
from contracts.store import load_champion
from contracts.workspace import Workspace
from demo.clients import GrpcClient, RestClient
from demo.messages import ClientRequest
from demo.replayed_rows import read_rows
from deploy.local.processes import free_ports, wait_until
from tests.support.serving import Server, Store, start

ROOT = Path(__file__).parents[2]
FLIGHTS = re.compile(r"\b(flights?|carriers?|late|punctual|landed|departs?|departures?)\b", re.I)
SMALL: dict[str, dict[str, Any]] = {
    "ingest": {"keep_every": 7},
    "train": {"hidden": [16], "bins": 4, "bin_width": 4, "epochs": 4, "learning_rate": 0.005},
    "compress": {"hidden": [16], "bins": 4, "epochs": 2, "finetune_epochs": 1, "calibration_rows": 256},
}
STAGES = ("parameters", "ingest", "validate", "featurize", "train", "compress", "evaluate", "package")


def windsock(root: Path, *words: str) -> str:
    """What the command wrote, as its users call it from outside the workspace."""
    command = [sys.executable, "-m", "cli", *words, "--root", str(root)]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Released, out of the parameters and objectives of workspaces/rain."""
    root = tmp_path_factory.mktemp("rain")
    params = yaml.safe_load((ROOT / "workspaces/rain/params.yaml").read_text())
    for section, values in SMALL.items():
        params[section].update(values)
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (root / "objectives.yaml").write_text((ROOT / "workspaces/rain/objectives.yaml").read_text())
    for stage in STAGES:
        windsock(root, "stage", stage)
    windsock(root, "release")
    return Workspace(root)


@pytest.fixture(scope="module")
def server(workspace: Workspace) -> Iterator[Server]:
    champion = load_champion(workspace.store, workspace.public_key)
    running = start(workspace.root, Store(workspace.store, workspace.public_key, champion.digest))
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def report(workspace: Workspace, server: Server) -> Monitoring:
    """Of the log, after the months after `as_of` were replayed."""
    address = ("--rest", server.rest, "--grpc", server.grpc)
    windsock(workspace.root, "replay", *address)
    windsock(workspace.root, "monitor", "--metrics", server.metrics)
    return read_report(workspace.report("monitoring"), Monitoring)


def test_the_released_model_is_the_task_s_own(workspace: Workspace) -> None:
    champion = load_champion(workspace.store, workspace.public_key)
    assert champion.schema.name == "rain-soon"
    assert champion.schema.category_names == ("airport",)
    assert champion.manifest.metrics["auc"] > 0.85


def test_every_later_forecast_is_answered_logged_and_labelled(workspace: Workspace, report: Monitoring) -> None:
    schema = load_champion(workspace.store, workspace.public_key).schema
    rows = read_rows(workspace.features, schema, "2013-07", "2013-12")
    assert [month.month for month in report.months] == [f"2013-{n:02}" for n in range(7, 13)]
    assert sum(month.rows for month in report.months) == len(rows) > 1500
    assert sum(month.labelled for month in report.months) == (rows.label >= 0).sum()
    summary = json.loads((workspace.state / "replay.json").read_bytes())
    assert set(summary["statuses"]) == {"rest 200", "grpc OK"}
    assert summary["compared"]["rows"] > 1500
    assert summary["compared"]["max_difference"] == 0


def test_rest_and_grpc_give_the_same_score(workspace: Workspace, server: Server) -> None:
    schema = load_champion(workspace.store, workspace.public_key).schema
    rows = read_rows(workspace.features, schema, "2013-08", "2013-08").head(50)
    request = ClientRequest("both", rows.numeric, rows.category, None)

    async def both() -> list[list[float]]:
        clients = RestClient(server.rest, server.token, schema.name), GrpcClient(server.grpc, server.token, schema.name)
        async with clients[0] as rest, clients[1] as grpc:
            return [await rest.infer(request), await grpc.infer(request)]

    one, other = asyncio.run(both())
    assert one == other
    assert np.std(one) > 0.01


def test_a_row_is_asked_by_its_own_names(server: Server) -> None:
    document = json.loads(server.ask("/openapi.json", token=None)[1])
    row = document["components"]["schemas"]["Row"]["properties"]
    assert {"humid", "pressure_change_3h", "airport"} <= set(row)
    wet, dry = {"humid": 97, "precip_1h": 0.1, "visib": 2}, {"humid": 35, "precip_1h": 0, "visib": 10}
    usual = dict.fromkeys(row) | {"airport": "JFK"}
    status, body, _ = server.ask("/v1/predict", {"rows": [usual | wet, usual | dry]})
    assert status == 200
    more, less = json.loads(body)["probabilities"]
    assert more > less
    status, body, _ = server.ask("/v1/predict", {"rows": [usual | {"distance": 100}]})
    assert (status, b"distance" in body) == (400, True)


def test_pages_and_metrics_speak_of_rain_and_not_of_flights(
    workspace: Workspace, server: Server, report: Monitoring
) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "cli", "monitor", "serve", "--root", str(workspace.root), "--port", str(port)]
    monitor = subprocess.Popen(command, cwd=ROOT, env=clean_environment(), stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        assert wait_until(lambda: _answers(f"{address}/healthz"), 60)
        spoken = {
            "docs": server.ask("/docs", token=None)[1].decode(),
            "openapi": server.ask("/openapi.json", token=None)[1].decode(),
            "metrics": _get(server.metrics),
            "page": _get(f"{address}/"),
            "gauges": _get(f"{address}/metrics"),
        }
    finally:
        monitor.terminate()
        monitor.wait(60)
    assert {name: found[0] for name, text in spoken.items() if (found := FLIGHTS.findall(text))} == {}
    assert "Will it rain at this airport in the next three hours?" in spoken["docs"]
    assert "Rain at New York" in spoken["page"]
    assert "rainy" in spoken["page"]
    assert 'windsock_labels_total{value="true"}' in spoken["metrics"]
    assert 'feature="pressure_3h"' in spoken["gauges"]


def test_objectives_are_those_of_the_workspace(workspace: Workspace) -> None:
    listed = windsock(workspace.root, "objectives")
    assert re.search(r"^mean_auc +0\.86\*", listed, re.M)
    assert re.search(r"^failed_share +0\.001 ", listed, re.M)


def test_nothing_outside_the_task_knows_of_it() -> None:
    listed = subprocess.check_output(["git", "-C", str(ROOT), "ls-files", "*.py", "*.j2"], text=True).splitlines()
    others = [path for path in listed if not path.startswith(("tests/", "tasks/rain/"))]
    assert len(others) > 150
    naming = [path for path in others if re.search(r"\brain(y|ing|fall)?\b", (ROOT / path).read_text(), re.I)]
    assert naming == []


def _get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as reply:
        return str(reply.read().decode())


def _answers(address: str) -> bool:
    try:
        return bool(_get(address))
    except OSError:
        return False
