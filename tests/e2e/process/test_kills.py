"""SIGKILL of every process of the service at random moments, under load: what was acknowledged is in the log, once."""

import http.client
import itertools
import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import grpc

from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.e2e.process.test_life import workers
from tests.e2e.process.test_supervision import companion
from tests.support.payloads import proto, records, rows
from tests.support.serving import Server, Store, free_ports, start, wait_until

VICTIMS = ["launcher"] * 5 + ["worker"] * 8 + ["companion"] * 7
PAUSE_SECONDS = (0.2, 1.5)
ROWS = 3


class Clients:
    """Threads that send requests, each under an id of its own and once, and note which were answered."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self.acknowledged: list[str] = []
        kinds: list[Callable[[int], None]] = [self._rest, self._rest, self._grpc]
        self._threads = [threading.Thread(target=kind, args=(i,)) for i, kind in enumerate(kinds)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _ids(self, client: int) -> Iterator[str]:
        for number in itertools.count():
            if self._stop.wait(0.002):
                return
            yield f"{client}-{number}"

    def _rest(self, client: int) -> None:
        with closing(http.client.HTTPConnection(self._server.rest.removeprefix("http://"), timeout=10)) as connection:
            self._ask(client, connection)

    def _ask(self, client: int, connection: http.client.HTTPConnection) -> None:
        header = {"Authorization": f"Bearer {self._server.token}"}
        for name in self._ids(client):
            try:
                connection.request("POST", "/v1/predict", json.dumps(records(*rows(ROWS), id=name)), header)
                reply = connection.getresponse()
                reply.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                self._stop.wait(0.05)
                continue
            if reply.status == 200:
                self.acknowledged.append(name)

    def _grpc(self, client: int) -> None:
        metadata = [("authorization", f"Bearer {self._server.token}")]
        options = [("grpc.enable_retries", 0), ("grpc.max_reconnect_backoff_ms", 200)]
        with grpc.insecure_channel(self._server.grpc, options) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
            for name in self._ids(client):
                try:
                    stub.ModelInfer(proto(*rows(ROWS), id=name), metadata=metadata, timeout=10)
                except grpc.RpcError:
                    self._stop.wait(0.05)
                else:
                    self.acknowledged.append(name)


@contextmanager
def load(server: Server) -> Iterator[Clients]:
    clients = Clients(server)
    try:
        yield clients
    finally:
        clients.stop()


def kill(server: Server, kind: str) -> None:
    """Kill one of its processes, as soon as there is one of the kind. A service that has ended has none."""
    kinds: dict[str, Callable[[], list[int]]] = {
        "launcher": lambda: [server.pid],
        "worker": lambda: sorted(workers(server)),
        "companion": lambda: [pid for pid in [companion(server)] if pid is not None],
    }
    wait_until(lambda: server.process.poll() is not None or bool(kinds[kind]()), f"a {kind}")
    if server.process.poll() is None:
        os.kill(kinds[kind]()[0], signal.SIGKILL)
    if kind == "launcher":
        server.process.wait(60)


def started(folder: Path, store: Store, ports: dict[str, int]) -> Server:
    """Start as a manager of services would: again and again, since the processes of a launcher that was killed have
    the ports until they have ended."""
    server = start(folder, store, wait=False, workers=2, **ports)
    wait_until(lambda: server.is_ready() or server.process.poll() is not None, "a service")
    if server.process.poll() is None:
        return server
    assert "must be a free port" in server.log(), server.log()
    return started(folder, store, ports)


def test_what_was_acknowledged_is_in_the_log_once_whoever_is_killed(tmp_path: Path, artifact_store: Store) -> None:
    seed = time.time_ns()
    dice = random.Random(seed)  # noqa: S311 - chance, not secrecy
    order = dice.sample(VICTIMS, len(VICTIMS))
    ports = dict(zip(("rest_port", "grpc_port", "metrics_port"), free_ports(3), strict=True))
    server = started(tmp_path, artifact_store, ports)
    with load(server) as clients:
        for kind in order:
            time.sleep(dice.uniform(*PAUSE_SECONDS))
            kill(server, kind)
            if server.process.poll() is not None:
                server = started(tmp_path, artifact_store, ports)
        enough = len(clients.acknowledged) + 50
        wait_until(lambda: len(clients.acknowledged) > enough, "answers after the last kill")
    assert server.stop() == 0, server.log()
    with closing(sqlite3.connect(f"file:{server.state / 'predictions.db'}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT request_id, rows, length(score) FROM predictions").fetchall()
    times = Counter(name for name, _, _ in found)
    assert len(clients.acknowledged) > 200
    assert [name for name in clients.acknowledged if times[name] != 1] == [], (seed, order)
    assert set(times.values()) == {1}, "what was never acknowledged may be there, but not twice"
    assert {(count, length) for _, count, length in found} == {(ROWS, 4 * ROWS)}
    assert not list((server.state / "spool").glob("*.spool"))
