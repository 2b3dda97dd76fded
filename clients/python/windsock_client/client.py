"""`Client` and `AsyncClient`: connection, token, and the calls of the service."""

import asyncio
import ssl
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

import httpx
import msgspec

from windsock_client.errors import Unreachable
from windsock_client.exchange import Call, Outcome, Reply, Request, Retry, Wait, exchange, is_ready
from windsock_client.types import Accepted, Label, LabelsBody, PredictBody, Prediction, Row

SECONDS: Final = 10.0  # that one try may take
_RETRY: Final = Retry()
_encode: Final = msgspec.json.Encoder().encode
Result = TypeVar("Result")


def _settings(url: str, token: str | None, timeout: float, verify: ssl.SSLContext | bool) -> dict[str, Any]:
    headers = {"user-agent": "windsock-client/0.2"} | ({} if token is None else {"authorization": f"Bearer {token}"})
    return {"base_url": url, "headers": headers, "timeout": timeout, "verify": verify}


def _sent(request: Request) -> dict[str, Any]:
    """A request as httpx takes it."""
    if request.body is None:
        return {"method": "GET", "url": request.path}
    return {
        "method": "POST",
        "url": request.path,
        "content": request.body,
        "headers": {"content-type": "application/json"},
    }


def _came(answer: httpx.Response) -> Reply:
    return Reply(answer.status_code, answer.content, answer.headers.get("retry-after"))


def _lost(error: httpx.TransportError) -> Unreachable:
    lost = Unreachable(f"the service must answer, got: {error!r}; check the address, and that it is up")
    lost.__cause__ = error
    return lost


def _prediction(
    rows: Iterable[Row], request_id: str | None, event_time: datetime | None, key: str, retry: Retry
) -> Call[Prediction]:
    # The id makes a repeat harmless: the service answers the same request under the same id with the same prediction.
    body = PredictBody(list(rows), request_id or uuid4().hex, event_time, key)
    return exchange(Request("/v1/predict", _encode(body)), Prediction, retry)


def _labels(labels: Iterable[Label], retry: Retry) -> Call[Accepted]:
    return exchange(Request("/v1/labels", _encode(LabelsBody(list(labels)))), Accepted, retry)


class Client:
    """One service, over a pool of connections; thread-safe. A context manager, or `close` it.

    Args:
        url: of the service, like "http://127.0.0.1:3000".
        token: None where the service asks for none.
        timeout: seconds that one try may take.
        retry: when to try again; the default is five tries in half a minute.
        verify: of a service with TLS: whether its certificate is checked, or the context that checks it.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = SECONDS,
        retry: Retry = _RETRY,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._http = httpx.Client(**_settings(url, token, timeout, verify))
        self._retry = retry

    def predict(
        self, rows: Iterable[Row], *, request_id: str | None = None, event_time: datetime | None = None, key: str = ""
    ) -> Prediction:
        """Score rows.

        Args:
            request_id: named by its labels; None makes one. The same rows under the same id are one prediction.
            event_time: the caller's clock; None is the time of arrival. Without a zone it is UTC.
            key: while several models are tried, equal keys go to the same one; "" is the id.

        Raises:
            ClientError: refused, or not answered after the last try.
        """
        return self._run(_prediction(rows, request_id, event_time, key, self._retry))

    def label(self, labels: Iterable[Label]) -> int:
        """Tell what became of scored rows. Returns how many labels were taken in.

        Raises:
            ClientError: refused, or not answered after the last try.
        """
        return self._run(_labels(labels, self._retry)).accepted

    def ready(self) -> bool:
        """Whether the service takes requests now."""
        return self._run(is_ready())

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, call: Call[Result]) -> Result:
        outcome: Outcome | None = None
        while True:
            try:
                step = call.send(outcome)
            except StopIteration as end:
                result: Result = end.value
                return result
            outcome = None
            if isinstance(step, Wait):
                time.sleep(step.seconds)
                continue
            try:
                outcome = _came(self._http.request(**_sent(step)))
            except httpx.TransportError as error:
                outcome = _lost(error)


class AsyncClient:
    """`Client` for asyncio: an asynchronous context manager, or `await close()`. Arguments as there."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = SECONDS,
        retry: Retry = _RETRY,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._http = httpx.AsyncClient(**_settings(url, token, timeout, verify))
        self._retry = retry

    async def predict(
        self, rows: Iterable[Row], *, request_id: str | None = None, event_time: datetime | None = None, key: str = ""
    ) -> Prediction:
        """As `Client.predict`."""
        return await self._run(_prediction(rows, request_id, event_time, key, self._retry))

    async def label(self, labels: Iterable[Label]) -> int:
        """As `Client.label`."""
        return (await self._run(_labels(labels, self._retry))).accepted

    async def ready(self) -> bool:
        """As `Client.ready`."""
        return await self._run(is_ready())

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, call: Call[Result]) -> Result:
        outcome: Outcome | None = None
        while True:
            try:
                step = call.send(outcome)
            except StopIteration as end:
                result: Result = end.value
                return result
            outcome = None
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
                continue
            try:
                outcome = _came(await self._http.request(**_sent(step)))
            except httpx.TransportError as error:
                outcome = _lost(error)
