"""What the REST shell does when the core fails it: things that no request to a healthy service brings about."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.errors import Unavailable
from monitoring.metrics.declared import Metrics
from services.core.admission import Budget, LargeRequests
from services.core.auth import Guard
from services.core.request import Answer, PredictionRequest
from services.rest.app import Rest
from tasks.flights.schema import SCHEMA
from tests.support.payloads import records, rows


class Core:
    """A predictor with one fault."""

    name, schema, ready, healthy, open = SCHEMA.name, SCHEMA, True, True, True
    roles = SimpleNamespace(champion=SimpleNamespace(version="0" * 12))

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    def predict(self, _: PredictionRequest) -> Answer:
        raise self._fault


def post(core: Core, body: bytes, *parts: bytes) -> tuple[int, dict[str, Any], dict[bytes, bytes]]:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in (body, *parts)]
    messages[-1]["more_body"] = False
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    metrics = Metrics(SCHEMA)
    app = Rest(core, Guard(None), metrics, LargeRequests(metrics), Budget("bytes", 1 << 20))  # type: ignore[arg-type] # the core is played
    asyncio.run(app({"type": "http", "method": "POST", "path": "/v1/predict", "headers": []}, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"]), dict(sent[0]["headers"])


def body() -> bytes:
    return json.dumps(records(*rows(1))).encode()


def test_an_unknown_error_shows_an_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    status, answer, _ = post(Core(RuntimeError("path /home/secret")), body())
    assert status == 500
    assert answer["error"].startswith("internal error, id ")
    assert "secret" not in answer["error"]
    assert "secret" in caplog.text


def test_closed_service_and_full_spool_are_503() -> None:
    status, answer, _ = post(Core(Unavailable("the spool must take writes")), body())
    assert (status, answer) == (503, {"error": "the spool must take writes"})


def test_a_body_in_parts_is_put_together() -> None:
    whole = body()
    status, answer, _ = post(Core(Unavailable("reached the core")), whole[:10], whole[10:20], whole[20:])
    assert (status, answer["error"]) == (503, "reached the core")


def test_draining_closes_connections() -> None:
    core = Core(Unavailable("x"))
    assert b"connection" not in post(core, body())[2]
    core.ready = False
    assert post(core, body())[2][b"connection"] == b"close"
