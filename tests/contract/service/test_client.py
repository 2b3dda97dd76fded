"""`windsock_client` against a real service, and against one that refuses, dates its refusals or loses its answers."""

import asyncio
import inspect
import json
import math
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from setuptools.discovery import PEP420PackageFinder  # type: ignore[import-untyped] # it ships no types

import cli
import windsock_client
from tasks.flights.schema import SCHEMA
from tests.contract.test_house import ROOMS
from tests.support.serving import Server, wait_until
from windsock_client import AsyncClient, Busy, Client, Failed, Label, Prediction, Refused, Retry, Unreachable

PACKAGE = Path(windsock_client.__file__).parents[1]
ROW = SCHEMA.example()
GOOD = msgspec.json.encode(Prediction("a", "b", "c", "champion", (0.5,)))
Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def scripted(*answers: Answer) -> Iterator[tuple[str, list[tuple[float, bytes]]]]:
    """A server that gives these answers, the last one for ever, and its list of when it was asked what."""
    asked = list[tuple[float, bytes]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, headers, answer = answers[min(len(asked), len(answers) - 1)]
            asked.append((time.monotonic(), body))
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def busy(status: int = 503, **headers: str) -> Answer:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, b'{"error": "come again"}'


def test_rows_are_scored_and_labelled(server: Server) -> None:
    with Client(server.rest, server.token) as client:
        assert client.ready()
        prediction = client.predict([ROW, {**ROW, "distance": 100.0, "temp": math.nan}], key="me")
        again = json.loads(server.ask("/v1/predict", {"rows": [ROW, ROW | {"distance": 100, "temp": None}]})[1])
        assert list(prediction.probabilities) == again["probabilities"]
        assert (prediction.role, prediction.model_version) == ("champion", again["model_version"])
        assert prediction.prediction_id != prediction.id
        landed = datetime.now(UTC) - timedelta(minutes=5)
        assert client.label([Label(prediction.id, True, outcome_at=landed), Label(prediction.id, False, row=1)]) == 2
        named = client.predict([ROW], request_id="mine-1", event_time=datetime(2013, 7, 1, tzinfo=UTC))
        assert named.id == "mine-1"


def test_many_at_once_without_threads(server: Server) -> None:
    async def ask() -> list[Prediction]:
        async with AsyncClient(server.rest, server.token) as client:
            assert await client.ready()
            found = await asyncio.gather(*(client.predict([ROW | {"distance": d}]) for d in range(100, 150)))
            assert await client.label(Label(one.id, True) for one in found) == 50
            return found

    found = asyncio.run(ask())
    assert len({one.prediction_id for one in found}) == len({one.probabilities for one in found}) == 50


def test_a_refusal_has_the_service_s_text_and_is_not_repeated(server: Server) -> None:
    with Client(server.rest, server.token) as client, pytest.raises(Refused) as refused:
        client.predict([ROW | {"temp": 900}])
    assert refused.value.status == 400
    assert "`temp` must be between -60 and 140" in str(refused.value)
    with Client(server.rest, "not the token of anybody") as client, pytest.raises(Refused, match="authorization"):
        client.predict([ROW])
    with scripted((409, {}, b'{"error": "the id stands for other rows"}')) as (url, asked):
        with Client(url) as client, pytest.raises(Refused, match="the id stands for other rows"):
            client.predict([ROW])
        assert len(asked) == 1


def test_a_quota_is_waited_for(server: Server) -> None:
    """A real 429: the token's quota is three rows a second."""
    tokens = ["--tokens-file", str(server.token_file.with_name("tokens.json"))]
    scope = ["--scope", "predict", "--rows-per-second", "3"]
    token = CliRunner().invoke(cli.main, ["tokens", "add", "slow", *scope, *tokens]).output.strip()
    try:
        wait_until(lambda: server.ask("/v1/predict", {"rows": [ROW]}, token=token)[0] != 401, "the new token", 5)
        with Client(server.rest, token) as client:
            started = time.monotonic()
            found = [client.predict([ROW | {"distance": 100 + n}]) for n in range(8)]
            assert len({one.prediction_id for one in found}) == 8
            assert time.monotonic() - started > 1
        with Client(server.rest, token, retry=Retry(tries=1)) as client, pytest.raises(Busy, match="slow") as refused:
            [client.predict([ROW]) for _ in range(50)]
        assert refused.value.status == 429
        assert refused.value.retry_after is not None
    finally:
        CliRunner().invoke(cli.main, ["tokens", "remove", "slow", *tokens])


def test_retry_after_is_honoured_in_seconds_and_as_a_date() -> None:
    date = format_datetime(datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3), usegmt=True)
    with scripted(busy(429, Retry_After="1"), busy(503, Retry_After=date), (200, {}, GOOD)) as (url, asked):
        with Client(url) as client:
            assert client.predict([ROW]).probabilities == (0.5,)
        times, bodies = zip(*asked, strict=True)
    assert 1 <= times[1] - times[0] < 1.5
    assert 0.5 < times[2] - times[1] < 2.5
    assert len(set(bodies)) == 1  # the same id, so the same request


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_tries_are_bounded_in_number_and_time(kind: str) -> None:
    def predict(url: str, retry: Retry) -> None:
        async def later() -> None:
            async with AsyncClient(url, retry=retry) as client:
                await client.predict([ROW])

        if kind == "async":
            asyncio.run(later())
        else:
            with Client(url, retry=retry) as client:
                client.predict([ROW])

    with scripted(busy()) as (url, asked):
        with pytest.raises(Busy, match="come again"):
            predict(url, Retry(tries=3))
        assert len(asked) == 3
        assert 0.1 < asked[2][0] - asked[0][0] < 1  # pauses of its own, as the service named none
    with scripted(busy(503, Retry_After="60")) as (url, asked):
        started = time.monotonic()
        with pytest.raises(Busy) as refused:
            predict(url, Retry(seconds=5))
        assert (len(asked), refused.value.retry_after) == (1, 60)
        assert time.monotonic() - started < 2
    with scripted((500, {}, b'{"error": "internal error, id 12"}')) as (url, asked):
        with pytest.raises(Failed, match="internal error, id 12"):
            predict(url, Retry())
        assert len(asked) == 1
    with pytest.raises(Unreachable, match="check the address"):
        predict("http://127.0.0.1:9", Retry(tries=2))
    with scripted((200, {}, b"<html>")) as (url, _), pytest.raises(Failed, match="must be a Prediction"):
        predict(url, Retry())


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"seconds": -1}])
def test_a_retry_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Retry(**wrong)


def whole(connection: socket.socket) -> bytes:
    """One HTTP message with a body."""
    found = b""
    while not (head := re.match(rb"(?s)(.*content-length: (\d+).*?\r\n\r\n)", found, re.IGNORECASE)) or len(
        found
    ) < len(head[1]) + int(head[2]):
        found += connection.recv(65_536)
    return found


@contextmanager
def losing_the_first_answer(port: int) -> Iterator[tuple[str, list[bytes]]]:
    """A way to the service that passes every request on, and ends the first connection instead of the answer."""
    lost = list[bytes]()

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            with near, socket.create_connection(("127.0.0.1", port)) as far:
                far.sendall(whole(near))
                answer = whole(far)
                if lost:
                    near.sendall(answer)
                else:
                    lost.append(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", lost
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_an_answer_that_was_lost_is_one_prediction(server: Server) -> None:
    port = int(server.rest.rpartition(":")[2])
    with losing_the_first_answer(port) as (url, lost), Client(url, server.token) as client:
        prediction = client.predict([ROW | {"distance": 777}])
    (first,) = lost
    assert first.startswith(b"HTTP/1.1 200")
    assert prediction.prediction_id.encode() in first


def test_both_clients_have_the_same_methods() -> None:
    def shown(kind: type[Any]) -> dict[str, Any]:
        methods = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
        return {"init": inspect.signature(kind)} | {name: inspect.signature(value) for name, value in methods.items()}

    assert shown(Client) == shown(AsyncClient)
    assert windsock_client.__all__ == sorted(windsock_client.__all__)


def test_the_service_s_distribution_holds_the_rooms_and_no_client() -> None:
    root = PACKAGE.parents[1]
    include = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    found = {name.partition(".")[0] for name in PEP420PackageFinder.find(str(root), include=include)}
    assert found == set(ROOMS)


def test_it_installs_alone(server: Server, tmp_path: Path) -> None:
    """Out of its own folder, with nothing of the service beside it; its types come with it."""
    shutil.copytree(PACKAGE, tmp_path / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(tmp_path / "source")], check=True)
    assert (tmp_path / "site/windsock_client/py.typed").exists()
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import windsock_client, json; "
        "client = windsock_client.Client(*sys.argv[1:3]); "
        "print(client.predict([json.loads(sys.argv[3])]).probabilities[0], windsock_client.__file__); "
        "ours = {'contracts', 'services', 'numpy', 'onnxruntime'} & set(sys.modules); assert not ours, ours"
    )
    command = [sys.executable, "-I", "-c", code, server.rest, server.token, json.dumps(ROW)]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    probability, where = said.split()
    assert Path(where).is_relative_to(tmp_path)
    assert 0 < float(probability) < 1
