"""Small requests that are ready at once: scored together, each answered for itself, in order, over real sockets."""

import json
import socket
import time
from collections.abc import Iterator

import pytest
import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from monitoring.spool.frames import Damage, Prediction, frames, record
from services.rest.hot import HotProtocol, install
from tests.support.payloads import records, rows
from tests.support.serving import Server, Store, start

NUMERIC, CATEGORY = rows(16)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, artifact_store: Store) -> Iterator[Server]:
    """A service whose spool stays, as nobody moves it."""
    running = start(tmp_path_factory.mktemp("hot"), artifact_store, companion=False)
    yield running
    assert running.stop() == 0, running.log()


def request(server: Server, body: bytes, *more: str, method: str = "POST", path: str = "/v1/predict") -> bytes:
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: here",
        f"Authorization: Bearer {server.token}",
        f"Content-Length: {len(body)}",
        *more,
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def row(place: int, **more: object) -> bytes:
    return json.dumps(records(NUMERIC[place : place + 1], CATEGORY[place : place + 1]) | more).encode()


def infer(place: int) -> bytes:
    value = [None if number != number else number for number in NUMERIC[place].tolist()]
    numeric = {"name": "numeric", "shape": [1, len(value)], "datatype": "FP32", "data": value}
    names = CATEGORY[place].tolist()
    category = {"name": "category", "shape": [1, len(names)], "datatype": "BYTES", "data": names}
    return json.dumps({"inputs": [numeric, category]}).encode()


def connect(server: Server) -> socket.socket:
    host, port = server.rest.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def answers(connection: socket.socket, count: int) -> list[tuple[int, dict[str, object]]]:
    """Status and JSON of so many answers, in the order in which they come."""
    found = []
    with connection.makefile("rb") as file:
        for _ in range(count):
            status = int(file.readline().split()[1])
            headers = {}
            while (line := file.readline().strip()) != b"":
                name, _, value = line.partition(b": ")
                headers[name.lower()] = value
            assert headers[b"date"]
            found.append((status, json.loads(file.read(int(headers[b"content-length"])))))
    return found


def logged(server: Server) -> list[Prediction]:
    content = [frame for path in (server.state / "spool").glob("*.spool") for frame in frames(path.read_bytes())]
    found = [record(frame) for frame in content if not isinstance(frame, Damage)]
    return [one for one in found if isinstance(one, Prediction)]


def test_the_seam_of_uvicorn_is_there() -> None:
    """uvicorn's class is no public interface: what is overridden and used of it must exist in the pinned version."""
    for name in (
        *("on_message_begin", "on_headers_complete", "on_body", "on_message_complete"),
        *("on_response_complete", "shutdown", "data_received"),
    ):
        assert name in vars(HttpToolsProtocol), name
    install()
    assert uvicorn.config.HTTP_PROTOCOLS["auto"] == "services.rest.hot:HotProtocol"
    config = uvicorn.Config("tests:none", http="auto")
    config.load_app = lambda: None  # type: ignore[method-assign] # only the protocol is asked for
    config.load()
    assert config.http_protocol_class is HotProtocol


def test_what_comes_at_once_is_scored_at_once_and_answered_in_order(alone: Server) -> None:
    with connect(alone) as connection:
        connection.sendall(b"".join(request(alone, row(i, id=f"turn-{i}")) for i in range(16)))
        found = answers(connection, 16)
    assert [(status, body["id"]) for status, body in found] == [(200, f"turn-{i}") for i in range(16)]
    mine = [one for one in logged(alone) if one.request_id.startswith("turn-")]
    assert len(mine) == 16
    assert len({one.received_us for one in mine}) == 1, "all of them are of one run"
    for i, (_, body) in enumerate(found):
        status, answer, _ = alone.ask("/v1/predict", row(i))
        assert status == 200
        assert json.loads(answer)["probabilities"] == pytest.approx(body["probabilities"], abs=1e-6)


def test_a_bad_request_refuses_itself_and_no_other_of_its_turn(alone: Server) -> None:
    bodies = [row(i) for i in range(16)]
    bodies[3] = row(3).replace(b'"rows"', b'"rowz"')
    bodies[7] = json.dumps(records(NUMERIC[7:8] * 1e9, CATEGORY[7:8])).encode()
    bodies[11] = row(11, id="\n")
    with connect(alone) as connection:
        wrong = request(alone, row(15)).replace(alone.token.encode(), b"another-one-than-this-one")
        connection.sendall(b"".join(request(alone, body) for body in bodies) + wrong)
        found = answers(connection, 17)
    assert [status for status, _ in found] == [
        *(401 if i == 16 else 400 if i in (3, 7, 11) else 200 for i in range(17)),
    ]
    assert "rowz" in str(found[3][1]["error"])
    assert "in row 0" in str(found[7][1]["error"])
    assert "`id` must be" in str(found[11][1]["error"])


def test_other_requests_on_the_connection_keep_their_place(alone: Server) -> None:
    path = "/v2/models/flight-delay/infer"
    with connect(alone) as connection:
        connection.sendall(
            request(alone, row(0, id="first"))
            + request(alone, b"", method="GET", path="/v2/health/ready")
            + request(alone, infer(1), path=path)
        )
        found = answers(connection, 3)
    assert found[0][1]["id"] == "first"
    assert found[1] == (200, {"ready": True})
    assert found[2][1]["model_name"] == "flight-delay"


def test_a_probe_is_answered_on_a_connection_that_stays_and_on_one_that_ends(alone: Server) -> None:
    for path, expected in (("/v2/health/ready", {"ready": True}), ("/livez", {"live": True})):
        head = f"GET {path} HTTP/1.1\r\nHost: here\r\n"
        with connect(alone) as connection:
            connection.sendall(f"{head}\r\n{head}\r\n".encode())
            assert answers(connection, 2) == [(200, expected)] * 2
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
            assert answers(connection, 1) == [(200, expected)]
            assert connection.recv(1) == b""


def test_what_is_no_http_ends_the_connection_after_the_answers_before_it(alone: Server) -> None:
    with connect(alone) as connection:
        connection.sendall(request(alone, row(0)) + b"nonsense\r\n\r\n")
        with connection.makefile("rb") as file:
            found = file.read()
    assert found.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 400 " in found


def test_the_ordinary_way_gives_the_same_answer(alone: Server) -> None:
    """What goes to the ASGI application: here, as its body comes in chunks."""
    for body, path in ((row(4), "/v1/predict"), (infer(4), "/v2/models/flight-delay/infer")):
        head = request(alone, b"", "Transfer-Encoding: chunked", path=path).replace(b"Content-Length: 0\r\n", b"")
        with connect(alone) as connection:
            connection.sendall(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            ((status, ordinary),) = answers(connection, 1)
            connection.sendall(request(alone, body, path=path))
            ((_, hot),) = answers(connection, 1)
        assert status == 200
        for told in (ordinary, hot):
            for name in ("id", "prediction_id"):
                told.pop(name, None)
        assert ordinary == hot


def test_a_client_that_goes_away_harms_nobody(alone: Server) -> None:
    for _ in range(20):
        with connect(alone) as connection:
            connection.sendall(request(alone, row(5)) * 3 + request(alone, row(6))[:100])
    assert alone.ask("/v1/predict", row(7))[0] == 200


def test_a_body_that_does_not_come_ends(alone: Server) -> None:
    with connect(alone) as connection:
        connection.sendall(request(alone, row(5))[:-10])
        started = time.monotonic()
        connection.settimeout(20)
        assert connection.recv(1) == b""
        assert time.monotonic() - started < 15
