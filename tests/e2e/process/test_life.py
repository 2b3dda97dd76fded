"""How the service starts, how it refuses to, and how it ends: always with an honest status and nothing left running."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from contracts.store.state import State
from monitoring.log.database import open_log
from monitoring.log.reader import read_predictions
from registry.keys import signing_keys
from tasks.flights.schema import SCHEMA
from tests.support.payloads import records, rows
from tests.support.serving import Server, Store, descendants, start, wait_until
from tests.support.tiny import CARRIERS, forge, tiny_model, write_store


def copy(store: Store, folder: Path) -> Store:
    shutil.copytree(store.store, folder / "store")
    shutil.copy(store.public_key, folder / "signing.pub")
    return Store(folder / "store", folder / "signing.pub", store.digest)


def _flip(store: Store, _: Path) -> dict[str, object]:
    path = store.store / store.digest / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return {}


def _other_key(_: Store, folder: Path) -> dict[str, object]:
    return {"public_key": signing_keys(folder / "other").public}


def _no_key(_: Store, folder: Path) -> dict[str, object]:
    return {"public_key": folder / "none.pub"}


def _no_pointer(store: Store, _: Path) -> dict[str, object]:
    (store.store / "champion").unlink()
    return {}


def _path_pointer(store: Store, _: Path) -> dict[str, object]:
    (store.store / "champion").write_text("../../elsewhere")
    return {}


def _read_only(_: Store, folder: Path) -> dict[str, object]:
    path = folder / "log.db"
    open_log(f"sqlite:///{path}").dispose()
    return {"database_url": f"sqlite:///file:{path}?mode=ro&uri=true"}


def _other_database(_: Store, __: Path) -> dict[str, object]:
    return {"database_url": "mysql://host/log"}


def _state_is_a_file(_: Store, folder: Path) -> dict[str, object]:
    (folder / "blocked").write_text("")
    return {"state": folder / "blocked"}


REPACK = "run `dvc repro --force --single-item package`"


def _empty_token(_: Store, folder: Path) -> dict[str, object]:
    (folder / "token").write_text("\n")
    return {"token_file": folder / "token"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m.update(format=1), "must have a manifest of format 3, got 1, .* run `dvc repro`, then"),
        (lambda m: m.update(schema_hash="0" * 64), f"must have a schema of hash 000000000000.*{REPACK}, then"),
        (lambda m: m["schema"]["numeric"][0].update(high=9_999), f"must have a schema of hash.*{REPACK}, then"),
    ],
)
def test_a_signed_model_of_another_format_or_schema_is_refused_with_what_to_do(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], expected: str
) -> None:
    write_store(tmp_path)
    digest = forge(tmp_path, (tmp_path / "store/champion").read_text(), change)
    server = start(tmp_path, Store(tmp_path / "store", tmp_path / "signing.pub", digest), wait=False)
    assert server.process.wait(timeout=60) == 1
    (error,) = [line for line in server.log().splitlines() if line.startswith("Error: ")]
    assert re.search(f"{expected} `windsock release`", error), error


REFUSED_STARTS: dict[str, tuple[Callable[[Store, Path], dict[str, object]], str]] = {
    "flipped bit": (_flip, "must be signed by the key"),
    "another key": (_other_key, "must be signed by the key"),
    "no key": (_no_key, "the verifying key"),
    "no pointer": (_no_pointer, "champion` must name the released model"),
    "pointer out of the store": (_path_pointer, "must hold a sha256 digest"),
    "read-only database": (_read_only, "must answer and take writes, got: attempt to write a readonly database"),
    "another database": (_other_database, "must be SQLite's or PostgreSQL's"),
    "state is a file": (_state_is_a_file, "must take writes"),
    "token": (_empty_token, "must have at least 16 characters"),
    "unknown setting": (lambda *_: {"prot": 1}, "`WINDSOCK_PROT` must be one of"),
    "wrong setting": (lambda *_: {"rest_port": 0}, "`rest_port`"),
    "host name": (lambda *_: {"host": "localhost"}, "`host`"),
    "ports alike": (lambda *_: {"rest_port": 3000, "grpc_port": 3000}, "must differ"),
}


@pytest.mark.parametrize("case", REFUSED_STARTS)
def test_refused_start(tmp_path: Path, artifact_store: Store, case: str) -> None:
    arrange, expected = REFUSED_STARTS[case]
    store = copy(artifact_store, tmp_path)
    server = start(tmp_path, store, wait=False, **arrange(store, tmp_path))
    assert server.process.wait(timeout=60) == 1
    log = server.log()
    assert expected in log
    assert "Error: " in log
    assert "Traceback" not in log


@pytest.mark.parametrize("port", ["rest_port", "grpc_port", "metrics_port"])
def test_busy_port(tmp_path: Path, artifact_store: Store, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        server = start(tmp_path, artifact_store, wait=False, **{port: number})
        assert server.process.wait(timeout=60) == 1
    assert f"`{port}` must be a free port of 127.0.0.1, got {number}" in server.log()


def test_a_worker_that_cannot_start_ends_the_service(tmp_path: Path) -> None:
    """The model verifies, so the launcher goes on; it gives no probabilities, which only its warm-up shows."""
    model = onnx.load_from_string(tiny_model())
    model.graph.node[-1].op_type = "Acos"
    store = Store(tmp_path / "store", tmp_path / "signing.pub", write_store(tmp_path, model.SerializeToString()))
    server = start(tmp_path, store, wait=False)
    assert server.process.wait(timeout=60) == 1
    errors = [line for line in server.log().splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "must give 1 probabilities" in errors[0]
    assert "Traceback" not in server.log()
    assert_gone(server, set())


def assert_gone(server: Server, pids: set[int]) -> None:
    """None of the processes, and all ports free.

    The companion gives way to everything else (`nice`): on a busy machine it gets no turn for many seconds.
    """
    try:
        wait_until(lambda: not any(_is_running(pid) for pid in pids), "the end of every process", 180)
    except AssertionError as error:
        raise AssertionError(f"{error}; still there: {[command_line(pid) for pid in pids]}") from error
    for address in (server.rest, server.grpc, server.metrics.removesuffix("/metrics")):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", int(address.rpartition(":")[2])))


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def workers(server: Server) -> set[int]:
    return {pid for pid in descendants(server.pid) if "_bentoml_impl.worker.service" in command_line(pid)}


def command_line(pid: int) -> list[str]:
    """Empty: the process has ended."""
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def test_no_process_outlives_the_launcher(tmp_path: Path, artifact_store: Store) -> None:
    server = start(tmp_path, artifact_store)
    # The companion gives way to others while it starts, too, which on a busy machine takes minutes.
    wait_until(lambda: State(server.state).read_companion() is not None, "a companion that has started", 180)
    family = {server.pid, *descendants(server.pid)}
    assert len(family) == 3, "launcher, worker and companion"
    assert server.ask("/v1/predict", records(*rows(1)))[0] == 200
    os.kill(server.pid, signal.SIGKILL)
    assert server.process.wait(timeout=60) == -signal.SIGKILL
    assert_gone(server, family)


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
def test_a_process_ends_with_its_starter_whether_or_not_that_heard_it(read: bool) -> None:
    """A socket whose other end went with unread bytes gives no end of file, but a reset."""
    ours, theirs = socket.socketpair()
    code = "import sys, time; from contracts.settings.lifeline import Lifeline as L; life = L(int(sys.argv[1]))\n"
    code += "life.say_ready(); time.sleep(1); life.watch(); time.sleep(60)"
    with ours, theirs:
        process = subprocess.Popen([sys.executable, "-c", code, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        theirs.close()
        assert ours.recv(6, 0 if read else socket.MSG_PEEK) == b"ready\n"
    try:
        assert process.wait(timeout=30) == -signal.SIGTERM
    finally:
        process.kill()


def test_a_worker_that_dies_is_replaced_on_all_ports(tmp_path: Path, artifact_store: Store) -> None:
    """A request that comes meanwhile waits for the next worker: it is answered by nobody else, and not refused."""
    began = time.monotonic()
    server = start(tmp_path, artifact_store)
    start_seconds = time.monotonic() - began
    (victim,) = workers(server)
    for place in range(2):
        os.kill(victim, signal.SIGKILL)
        died = time.monotonic()
        assert server.ask("/v1/predict", records(*rows(1), id=str(place)))[0] == 200
        took = time.monotonic() - died
        (worker,) = workers(server) - {victim}
        assert took < max(2, 1.5 * start_seconds), took  # on a machine that others slow down, a start tells by how much
        victim = worker
    assert scrape(server)['windsock_requests_total{"code": "ok", "protocol": "rest"}'] == 1
    with grpc.insecure_channel(server.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    assert server.log().count("ended: signal SIGKILL; it is started again") == 2
    assert server.stop() == 0, server.log()
    found = read_predictions(server.database_url, datetime(2000, 1, 1), datetime(2100, 1, 1))
    assert sorted(found.request_id) == ["0", "1"]


def test_a_worker_that_dies_again_and_again_ends_the_service(tmp_path: Path, artifact_store: Store) -> None:
    server = start(tmp_path, artifact_store)
    family = {server.pid}
    for _ in range(5):
        wait_until(lambda: bool(workers(server) - family), "a worker")
        (victim,) = workers(server)
        family.add(victim)
        os.kill(victim, signal.SIGKILL)
    assert server.process.wait(timeout=60) == 1
    assert "worker 1 died 5 times in 30 seconds: signal SIGKILL" in server.log()
    assert_gone(server, family)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_512_clients_at_once_are_all_answered_and_health_between_them(server: Server, tmp_path: Path) -> None:
    """Without the acceptor the last of them, and every new connection, waits for as many turns as there are clients:
    5 s and more."""
    script = tmp_path / "predict.lua"
    body = json.dumps(records(*rows(1)))
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Authorization"] = "Bearer {server.token}"\nwrk.body = [==[{body}]==]\n'
    )
    command = ["wrk", "-t1", "-c512", "-d5s", "-s", str(script), f"{server.rest}/v1/predict"]
    slowest = 0.0
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(subprocess.run, command, capture_output=True, text=True, check=True)
        while not load.done():
            began = time.monotonic()
            assert server.is_ready()
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.05)
    told = load.result().stdout
    assert "requests in" in told
    assert "Socket errors" not in told, told
    assert "Non-2xx" not in told, told
    assert slowest < 1.5  # .1 on a machine of its own: see reports/benchmarks


def test_first_start_makes_a_token_and_prints_its_place_only(server: Server) -> None:
    assert server.token_file.stat().st_mode & 0o777 == 0o600
    assert len(server.token) >= 32
    assert f"{server.token_file} (made now)" in server.log()
    assert server.token not in server.log()


def test_no_auth_must_be_asked_for_and_ctrl_c_ends_it(tmp_path: Path, artifact_store: Store) -> None:
    server = start(tmp_path, artifact_store, auth=False)
    assert server.ask("/v1/predict", records(*rows(1)), token=None)[0] == 200
    assert not server.token_file.exists()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=60) == 0
    assert "no token is asked for" in server.log()
    assert "Traceback" not in server.log()


def scrape(server: Server) -> dict[str, float]:
    with urllib.request.urlopen(server.metrics, timeout=10) as reply:
        text = reply.read().decode()
    return {
        f"{s.name}{json.dumps(s.labels, sort_keys=True)}": s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_metrics_count_what_happens(server: Server) -> None:
    before = scrape(server)
    server.ask("/v1/predict", records(*rows(5)))
    server.ask("/v1/predict", b"{")
    server.ask("/v1/predict", b"{", token=None)
    after = scrape(server)
    changed = {name: after[name] - before[name] for name in after if "created" not in name and "bucket" not in name}

    def change(name: str, **labels: str) -> float:
        return changed[f"{name}{json.dumps(labels, sort_keys=True)}"]

    assert change("windsock_requests_total", protocol="rest", code="ok") == 1
    assert change("windsock_rows_total", protocol="rest") == 5
    assert change("windsock_requests_total", protocol="rest", code="invalid_input") == 1
    assert change("windsock_requests_total", protocol="rest", code="unauthenticated") == 1
    assert change("windsock_request_seconds_count", protocol="rest") == 3
    assert change("windsock_prediction_score_count") == 5
    numeric, category = rows(5)
    for i, name in enumerate(SCHEMA.numeric_names):
        assert change("windsock_missing_inputs_total", feature=name) == np.isnan(numeric[:, i]).sum()
    known = {"carrier": CARRIERS, "origin": ("EWR", "JFK", "LGA"), "dest": ("LAX",)}
    for i, name in enumerate(SCHEMA.category_names):
        unknown = ~np.isin(category[:, i].astype(str), ["", *known[name]])
        assert change("windsock_unknown_inputs_total", feature=name) == unknown.sum()
    assert after['windsock_in_flight_requests{"protocol": "rest"}'] == 0
    assert after['windsock_request_seconds_bucket{"le": "0.02", "protocol": "grpc"}'] >= 0
    assert after['windsock_requests_total{"code": "internal", "protocol": "grpc"}'] == 0


def test_labels_are_counted_with_their_delay_on_the_callers_clock(server: Server) -> None:
    before = scrape(server)
    day = "2013-07-04T"
    labels = [
        {
            "id": "a",
            "value": True,
            "outcome_at": f"{day}12:00:00Z",
            "delivered_at": f"{day}14:30:00+02:00",
        },  # 30 minutes
        {"id": "b", "value": True, "outcome_at": f"{day}12:00:00Z"},  # years: it came now
        {"id": "c", "value": False, "delivered_at": f"{day}12:00:00Z"},  # nobody knows
    ]
    assert server.ask("/v1/labels", {"labels": labels})[0] == 200
    assert server.ask("/v1/labels", {"labels": [labels[0] | {"delivered_at": "soon"}]})[0] == 400
    after = scrape(server)

    def change(name: str, **labels: str) -> float:
        key = f"{name}{json.dumps(labels, sort_keys=True)}"
        return after[key] - before[key]

    assert change("windsock_labels_total", value="true") == 2
    assert change("windsock_labels_total", value="false") == 1
    assert change("windsock_label_delay_seconds_count") == 2
    assert change("windsock_label_delay_seconds_bucket", le="600.0") == 0
    assert change("windsock_label_delay_seconds_bucket", le="3600.0") == 1
    assert change("windsock_label_delay_seconds_bucket", le="259200.0") == 1


def test_the_model_and_its_training_are_named(server: Server, artifact_store: Store) -> None:
    found = scrape(server)
    labels = {"digest": artifact_store.digest, "version": artifact_store.digest[:12]}
    labels |= {"released": "student", "as_of": "2013-07-01", "role": "champion"}
    assert found[f"windsock_model_info{json.dumps(labels, sort_keys=True)}"] == 1
    provenance = json.loads((artifact_store.store / artifact_store.digest / "provenance.json").read_text())
    created = datetime.fromisoformat(provenance["created_at"]).timestamp()
    assert found["windsock_last_training_timestamp_seconds{}"] == pytest.approx(created)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_no_fault_in_the_metrics(server: Server) -> None:
    with urllib.request.urlopen(server.metrics, timeout=10) as reply:
        text: Any = reply.read()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
