"""How a service leaves while others stay: behind a balancer, under load, no client sees a failed request.

The balancer is Kubernetes' in small. It knows nothing of requests: a new connection goes to one of the services that
were ready at the last two looks, and an open one stays where it is.
"""

import asyncio
import http.client
import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from monitoring.log.reader import read_predictions
from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.e2e.process.test_life import scrape
from tests.support.payloads import INFER, json_body, proto, records, rows
from tests.support.serving import Server, Store, free_ports, start, wait_until

LOOK_SECONDS = 0.2
LONG_AGO, FAR = datetime(2000, 1, 1), datetime(2100, 1, 1)


class Balancer:
    """Forwards connections; runs on a thread of its own."""

    def __init__(self, services: list[Server]) -> None:
        self.rest, self.grpc = free_ports(2)
        self._services = services
        self._failed_looks = dict.fromkeys(range(len(services)), 0)
        self._turn = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._stop = asyncio.Event()
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()

    async def _run(self) -> None:
        async with (
            await asyncio.start_server(self._forward(lambda s: s.rest.removeprefix("http://")), "127.0.0.1", self.rest),
            await asyncio.start_server(self._forward(lambda s: s.grpc), "127.0.0.1", self.grpc),
        ):
            looking = asyncio.create_task(self._look())
            await self._stop.wait()
            looking.cancel()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            for i, service in enumerate(self._services):
                ready = await asyncio.to_thread(service.is_ready)
                self._failed_looks[i] = 0 if ready else self._failed_looks[i] + 1
            await asyncio.sleep(LOOK_SECONDS)

    def _forward(self, address: Callable[[Server], str]) -> Any:
        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ready = [s for i, s in enumerate(self._services) if self._failed_looks[i] < 2]
            chosen = ready[next(self._turn) % len(ready)]
            try:
                there, back = await asyncio.open_connection("127.0.0.1", int(address(chosen).rpartition(":")[2]))
            except OSError:
                writer.transport.abort()
                return
            await asyncio.gather(_copy(reader, back), _copy(there, writer))

        return forward


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    except OSError:
        writer.transport.abort()
    finally:
        writer.close()


class Clients:
    """Threads that send single rows over REST and gRPC through a balancer, each once. Nothing is tried again."""

    def __init__(self, balancer: Balancer, token: str) -> None:
        self._balancer, self._header = balancer, {"Authorization": f"Bearer {token}"}
        self._stop = threading.Event()
        self.answered: list[str] = []
        self.failed: list[str] = []
        self.told_to_close = 0
        kinds = [self._rest] * 4 + [self._grpc] * 2
        self._threads = [threading.Thread(target=kind, args=(i,)) for i, kind in enumerate(kinds)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _ids(self, client: int) -> Iterator[str]:
        for number in itertools.count():
            if self._stop.wait(0.01):
                return
            yield f"{client}-{number}-{time.time_ns()}"

    def _rest(self, client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._balancer.rest, timeout=10)
        for name in self._ids(client):
            try:
                connection.request("POST", INFER, json.dumps(json_body(*rows(1), id=name)), self._header)
                reply = connection.getresponse()  # which closes the connection where the reply says so
                content = reply.read()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"rest {name}: {error!r}")
                connection.close()
                continue
            self.told_to_close += reply.getheader("connection") == "close"
            if reply.status == 200:
                self.answered.append(name)
            else:
                self.failed.append(f"rest {name}: {content!r}")
        connection.close()

    def _grpc(self, client: int) -> None:
        metadata = [("authorization", self._header["Authorization"])]
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"127.0.0.1:{self._balancer.grpc}", options) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
            for name in self._ids(client):
                try:
                    stub.ModelInfer(proto(*rows(1), id=name), metadata=metadata, timeout=10)
                except grpc.RpcError as error:
                    self.failed.append(f"grpc {name}: {error}")
                else:
                    self.answered.append(name)


@contextmanager
def load(services: list[Server]) -> Iterator[Clients]:
    balancer = Balancer(services)
    try:
        clients = Clients(balancer, services[0].token)
        try:
            yield clients
        finally:
            clients.stop()
    finally:
        balancer.stop()


def leave(folder: Path, store: Store, stays: Server, **settings: Any) -> tuple[Server, Clients, datetime]:
    """One of two services ends under load, at the returned instant (UTC)."""
    leaves = start(folder, store, token_file=stays.token_file, **settings)
    with load([stays, leaves]) as clients:
        wait_until(lambda: len(clients.answered) > 100, "load")
        moment = datetime.now(UTC).replace(tzinfo=None)
        assert leaves.stop() == 0, leaves.log()
        enough = len(clients.answered) + 50
        wait_until(lambda: len(clients.answered) > enough, "load on the other service")
    return leaves, clients, moment


def test_a_service_that_drains_fails_no_request(tmp_path: Path, artifact_store: Store, server: Server) -> None:
    leaves, clients, moment = leave(tmp_path, artifact_store, server, drain_seconds=2.5, grpc_connection_seconds=1)
    assert clients.failed == []
    assert clients.told_to_close > 0
    mine = read_predictions(leaves.database_url, LONG_AGO, FAR)
    late = {protocol for protocol, t in zip(mine.protocol, mine.event_time, strict=True) if t > np.datetime64(moment)}
    # It answered on after SIGTERM. Old gRPC connections may all have moved to the other service by then, which keeps
    # them; that gRPC is answered while draining is the next test's.
    assert "rest" in late
    wait_until(
        lambda: (
            set(clients.answered)
            <= {*mine.request_id, *read_predictions(server.database_url, LONG_AGO, FAR).request_id}
        ),
        "every answered row in one of the two logs",
    )


def test_without_the_drain_requests_do_fail(tmp_path: Path, artifact_store: Store, server: Server) -> None:
    """What the test above would see: it can fail."""
    _, clients, _ = leave(tmp_path, artifact_store, server, drain_seconds=0, grpc_connection_seconds=0)
    assert clients.failed


def test_health_turns_at_once_and_every_answer_closes_its_connection(tmp_path: Path, artifact_store: Store) -> None:
    server = start(tmp_path, artifact_store, drain_seconds=3)
    with grpc.insecure_channel(server.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        server.process.terminate()
        wait_until(lambda: server.ask("/v2/health/ready", token=None)[0] == 503, "not ready", 2)
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        stub.ModelInfer(proto(*rows(1)), metadata=[("authorization", f"Bearer {server.token}")], timeout=10)
        expected = {
            "/v2": 200,
            "/v2/health/live": 200,
            "/livez": 200,
            "/readyz": 503,
            "/v2/models/flight-delay/ready": 503,
        }
        for path, status in {**expected, "/v1/none": 404}.items():
            found, _, headers = server.ask(path)
            assert (path, found, headers["connection"]) == (path, status, "close")
        found, _, headers = server.ask("/v1/predict", records(*rows(1)))
        assert (found, headers["connection"]) == (200, "close")
    assert server.process.wait(timeout=60) == 0


def test_old_grpc_connections_end_and_their_clients_do_not_notice(tmp_path: Path, artifact_store: Store) -> None:
    server = start(tmp_path, artifact_store, drain_seconds=1, grpc_connection_seconds=0.5)
    states: list[grpc.ChannelConnectivity] = []
    with grpc.insecure_channel(server.grpc) as channel:
        channel.subscribe(states.append)
        health = health_pb2_grpc.HealthStub(channel)

        def answers_and_has_left_the_connection() -> bool:
            health.Check(health_pb2.HealthCheckRequest(), timeout=10)
            return states.count(grpc.ChannelConnectivity.READY) > 2

        wait_until(answers_and_has_left_the_connection, "two new connections", 20)
    assert server.stop() == 0


def test_a_database_that_is_away_at_the_end_is_tried_and_what_is_left_is_told(
    tmp_path: Path, artifact_store: Store
) -> None:
    server = start(tmp_path, artifact_store, flush_seconds=1)
    wait_until(lambda: scrape(server)["windsock_companion_up{}"] == 1, "the companion", 20)
    lock = sqlite3.connect(server.state / "predictions.db", isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        assert server.ask("/v1/predict", records(*rows(2), id="left"))[0] == 200
        assert server.stop() == 0, server.log()
    finally:
        lock.close()
    assert "2 rows are not in the database" in server.log()
    again = start(tmp_path, artifact_store)
    assert again.stop() == 0, again.log()
    assert read_predictions(server.database_url, LONG_AGO, FAR).request_id.tolist() == ["left"] * 2
