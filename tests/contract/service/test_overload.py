"""What is more than the service takes on at once is refused at once, and what it took on is answered."""

import json
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from tests.support.payloads import records, rows
from tests.support.serving import Server, Store, descendants, start

NUMERIC, CATEGORY = rows(1)
ROW = json.dumps(records(NUMERIC, CATEGORY)).encode()
MIB = 2**20


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, artifact_store: Store) -> Iterator[Server]:
    """A service with narrow bounds."""
    bounds: dict[str, Any] = {"max_bytes_in_flight": 4 * MIB, "max_rows_in_flight": 1_024, "companion": False}
    running = start(tmp_path_factory.mktemp("small"), artifact_store, **bounds)
    yield running
    assert running.stop() == 0, running.log()


def connect(server: Server) -> socket.socket:
    host, port = server.rest.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def begin(server: Server, length: int, part: bytes = b"") -> socket.socket:
    """A connection on which a request of so many bytes has begun."""
    connection = connect(server)
    head = (
        f"POST /v1/predict HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {server.token}\r\nContent-Length: {length}"
    )
    connection.sendall(f"{head}\r\n\r\n".encode() + part)
    return connection


def read_answer(connection: socket.socket) -> str:
    """Head and body, however many writes they came in."""
    answer = ""
    while (found := re.search(r"content-length: (\d+)\r\n[\s\S]*?\r\n\r\n", answer)) is None or (
        len(answer) - found.end() < int(found[1])
    ):
        part = connection.recv(65_536)
        assert part, f"the connection ended within an answer: {answer}"
        answer += part.decode()
    return answer


def memory(server: Server) -> float:
    """MiB of the service's processes."""
    return sum(psutil.Process(pid).memory_info().rss for pid in descendants(server.pid)) / MIB


def test_bodies_beyond_the_bound_are_refused_before_they_are_read(small: Server) -> None:
    held = [begin(small, MIB, b"{") for _ in range(4)]
    time.sleep(0.2)
    started = time.monotonic()
    with begin(small, MIB) as connection:
        answer = read_answer(connection)
    assert answer.startswith("HTTP/1.1 429 ")
    assert "\r\nretry-after: " in answer
    assert "bytes of bodies may be in flight" in answer
    assert time.monotonic() - started < 1
    assert small.ask("/v1/predict", ROW)[0] == 200, "small requests still have their place"
    for connection in held:
        connection.close()
    large = json.dumps(records(*rows(1_000))).encode()
    assert len(large) > MIB / 2
    deadline = time.monotonic() + 5
    while (status := small.ask("/v1/predict", large)[0]) == 429 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status == 200, "what gave up holds nothing any more"


def test_a_body_in_chunks_holds_what_has_come(small: Server) -> None:
    with connect(small) as connection:
        lines = ("POST /v1/predict HTTP/1.1", "Host: here", f"Authorization: Bearer {small.token}")
        connection.sendall("\r\n".join((*lines, "Transfer-Encoding: chunked", "", "")).encode())
        connection.sendall(b"%x\r\n%s\r\n" % (5 * MIB, b" " * 5 * MIB))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 429 ")


def test_more_rows_than_may_be_answered_at_once(small: Server) -> None:
    status, body, headers = small.ask("/v1/predict", json.dumps(records(*rows(1_500))).encode())
    assert status == 429
    assert b"at most 1024 rows may be in flight" in body
    assert headers["retry-after"] == "1"


def test_a_body_that_does_not_end_is_told_so(small: Server) -> None:
    with begin(small, MIB, b"{") as connection:
        connection.settimeout(20)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 408 ")


def test_health_and_metrics_answer_while_hundreds_ask(server: Server) -> None:
    """Bounded by what a client sees on a machine that others use, too; benchmarks/ says how fast it is."""
    ended = threading.Event()
    asked = b"POST /v1/predict HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (
        server.token.encode(), len(ROW), ROW,
    )  # fmt: skip
    connections = [connect(server) for _ in range(512)]

    def ask(part: list[socket.socket]) -> int:
        count = 0
        while not ended.is_set():
            for connection in part:
                connection.sendall(asked)
            for connection in part:
                assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
                count += 1
        return count

    with ThreadPoolExecutor(8) as pool:
        counts = [pool.submit(ask, connections[i::8]) for i in range(8)]
        slowest = 0.0
        for url in [f"{server.rest}/v2/health/ready", server.metrics] * 10:
            started = time.monotonic()
            with urllib.request.urlopen(url, timeout=10) as reply:
                assert reply.status == 200
            slowest = max(slowest, time.monotonic() - started)
        ended.set()
        assert sum(count.result() for count in counts) > 512
    for connection in connections:
        connection.close()
    assert slowest < 2


def test_memory_is_bounded_when_many_send_much(server: Server) -> None:
    """64 clients send 16 MiB each: the bytes in flight are 64 MiB, and what is made of them no more than that again."""
    before = memory(server)
    body = b"[" + b"1," * (8 * MIB - 1)

    def send(_: int) -> int:
        with begin(server, len(body)) as connection:
            connection.sendall(body)
            return int(connection.recv(65_536).split()[1])

    with ThreadPoolExecutor(64) as pool:
        statuses = list(pool.map(send, range(64)))
        grown = memory(server) - before
    assert set(statuses) <= {400, 413, 429}
    assert 429 in statuses
    assert grown < 300, f"{grown:.0f} MiB"
    assert server.ask("/v1/predict", ROW)[0] == 200
