"""The service's own log: JSON lines, no line a request, no inputs."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from services.generated import open_inference_pb2 as pb
from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.support.payloads import records, rows
from tests.support.serving import Server, Store, start, wait_until

SECRET = 98_765_432.0  # a value that no feature may have


@pytest.fixture
def server(tmp_path: Any, artifact_store: Store) -> Iterator[Server]:
    """A service of each test's own, as all of its log is judged."""
    running = start(tmp_path, artifact_store)
    yield running
    if running.process.poll() is None:
        running.stop()


def lines(server: Server) -> list[dict[str, Any]]:
    """Every line that its processes wrote."""
    return [json.loads(line) for line in server.log().splitlines()]


def refusals(server: Server) -> list[dict[str, Any]]:
    return [line for line in lines(server) if line["event"].startswith("refused")]


def test_all_of_it_is_json_from_start_to_end(server: Server) -> None:
    for _ in range(20):
        assert server.ask("/v1/predict", records(*rows(1)))[0] == 200
    before = len(lines(server))
    time.sleep(1.1)
    assert len(lines(server)) == before  # what was answered is in the prediction log
    assert server.stop() == 0
    found = lines(server)
    assert any(line["event"].startswith("ready: ") for line in found)
    assert {"stopped", "companion: stopped, 20 rows moved"} <= {line["event"] for line in found}
    assert all({"time", "level", "event", "logger", "pid"} <= set(line) for line in found)
    assert all(line["time"].endswith("Z") for line in found)


def test_a_flood_of_bad_requests_is_a_line_a_second_with_their_number(server: Server) -> None:
    body = records(*rows(1)) | {"id": "mine"}
    name = next(name for name, value in body["rows"][0].items() if isinstance(value, float))
    body["rows"][0][name] = SECRET
    asked, began = 300, time.monotonic()
    with ThreadPoolExecutor(4) as clients:
        codes = set(clients.map(lambda _: server.ask("/v1/predict", body)[0], range(asked)))
    assert codes == {400}
    seconds = time.monotonic() - began
    wait_until(lambda: sum(1 + line.get("left_out", 0) for line in refusals(server)) >= asked, "all of them", 5)
    found = refusals(server)
    assert len(found) <= seconds + 3
    first = found[0]
    told = {key: first[key] for key in ("protocol", "code", "request_id", "caller", "level")}
    assert told == {
        "protocol": "rest", "code": "invalid_input", "request_id": "mine", "caller": "default", "level": "info",
    }  # fmt: skip
    assert name in first["event"]
    assert 0 < first["duration_us"] < 10_000_000
    assert str(int(SECRET)) not in server.log()
    # Those that a summary stands for are counted once.
    assert sum(line.get("left_out", 0) + (line["event"] != "refused more") for line in found) == asked


def test_each_kind_has_a_line_of_its_own(server: Server) -> None:
    server.ask("/v1/predict", b"{")
    server.ask("/v1/predict", b"{", token=None)
    server.ask("/nowhere")
    with grpc.insecure_channel(server.grpc) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        with pytest.raises(grpc.RpcError):
            stub.ModelInfer(pb.ModelInferRequest(), metadata=[("authorization", f"Bearer {server.token}")])
    kinds = {("rest", "invalid_input"), ("rest", "unauthenticated"), ("rest", "not_found"), ("grpc", "not_found")}
    wait_until(lambda: {(line["protocol"], line["code"]) for line in refusals(server)} == kinds, "their lines", 5)


_LOG = """
import logging, sys
from services.core.status import describe
from contracts.settings.logs import set_up
set_up(sys.argv[1])
logging.getLogger("services").info("one\\nevent", extra={"request_id": "two words", "rows": 3, "caller": ""})
try:
    raise ValueError("our bug")
except ValueError as error:
    describe(error)
logging.getLogger("uvicorn.error").warning("of a library")
raise RuntimeError("the end")
"""


@pytest.mark.parametrize(("form", "terminal", "as_json"), [
    ("auto", False, True), ("auto", True, False), ("json", True, True), ("text", False, False),
])  # fmt: skip
def test_json_for_machines_text_on_a_terminal(form: str, terminal: bool, as_json: bool) -> None:
    ours, theirs = pty.openpty() if terminal else os.pipe()
    subprocess.run([sys.executable, "-c", _LOG, form], stderr=theirs, check=False)
    os.close(theirs)
    written = ""
    try:
        while part := os.read(ours, 65_536):
            written += part.decode()
    except OSError:  # a terminal whose other end is closed
        pass
    os.close(ours)
    found = written.splitlines()
    if not as_json:
        assert "event  request_id='two words' rows=3" in written
        assert "ValueError: our bug" in written
        assert not any(line.startswith("{") for line in found)
        return
    event, bug, library, end = (json.loads(line) for line in found)
    assert (event["event"], event["request_id"], event["rows"]) == ("one\nevent", "two words", 3)
    assert "caller" not in event
    assert bug["level"] == "error"
    assert bug["incident"] in bug["event"]
    assert "ValueError: our bug" in bug["trace"]
    assert library["event"] == "of a library"
    assert "RuntimeError: the end" in end["trace"]
