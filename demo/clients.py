"""Two thin clients of the Open Inference Protocol, which differ in all that a client may choose.

REST sends JSON (numbers as text, `null` for missing), as a person with curl would; gRPC sends raw little-endian
bytes (NaN for missing). That both give the same score shows that the service reads both rightly.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Protocol, Self

import aiohttp
import grpc
import msgspec
import numpy as np

from contracts.errors import Unauthenticated, Unavailable, WindsockError
from demo.messages import ClientRequest, grpc_message, rest_body
from services.generated import open_inference_pb2_grpc as pb_grpc

TIMEOUT_SECONDS: Final = 30
RETRY_SECONDS: Final = (0.1, 0.3, 1.0, 3.0)  # pauses before the second, third, ... try


class Refused(WindsockError):
    """The service answered, but not with scores. `status` is the HTTP status or the name of the gRPC code."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"the service must accept the request, got {status}: {message}; see its log")
        self.status = status
        self.message = message


class Client(Protocol):
    """`infer` gives one score a row, or raises `Refused`, `Unauthenticated`, or `Unavailable` after retries."""

    protocol: str

    async def infer(self, request: ClientRequest) -> list[float]: ...


async def _retried(send: Callable[[], Awaitable[list[float]]], lost: type[Exception], address: str) -> list[float]:
    """Lost connections are tried again: the id is the same, so the service counts the rows once."""
    for pause in (*RETRY_SECONDS, None):
        try:
            return await send()
        except lost as error:
            if pause is None:
                raise Unavailable(
                    f"`{address}` must answer, got: {error or type(error).__name__}, {len(RETRY_SECONDS) + 1} times; "
                    "start `windsock serve`, then run this again: rows that were counted are not counted twice"
                ) from error
            await asyncio.sleep(pause)
    raise AssertionError("unreachable")


class RestClient:
    """Sends JSON tensors over one pool of connections.

    Args:
        address: "http://127.0.0.1:3000".
        model: name of the model, the schema's.
    """

    protocol = "rest"

    def __init__(self, address: str, token: str | None, model: str, connections: int = 16) -> None:
        self.address = address.rstrip("/")
        self.infer_path = f"/v2/models/{model}/infer"
        self._connections = connections
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            headers=self._headers,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def infer(self, request: ClientRequest) -> list[float]:
        body = rest_body(request)
        return await _retried(lambda: self._scores(body), aiohttp.ClientConnectionError, self.address)

    async def _scores(self, body: bytes) -> list[float]:
        answer = await self.post(self.infer_path, body)
        scores: list[float] = answer["outputs"][0]["data"]
        return scores

    async def labels(self, labels: list[dict[str, Any]]) -> int:
        """Deliver labels. Returns how many the service has taken in."""
        body = msgspec.json.encode({"labels": labels})

        async def send() -> list[float]:
            return [(await self.post("/v1/labels", body))["accepted"]]

        return int((await _retried(send, aiohttp.ClientConnectionError, self.address))[0])

    async def post(self, path: str, body: bytes) -> dict[str, Any]:
        async with self._session.post(self.address + path, data=body) as answer:
            content = await answer.read()
            if answer.status == 401:
                raise _unauthenticated(self.address)
            if answer.status != 200:
                raise Refused(str(answer.status), content.decode(errors="replace"))
            decoded: dict[str, Any] = msgspec.json.decode(content)
            return decoded


class GrpcClient:
    """Sends raw tensors over one channel.

    Args:
        address: "127.0.0.1:3001".
        model: name of the model, the schema's.
    """

    protocol = "grpc"

    def __init__(self, address: str, token: str | None, model: str) -> None:
        self.address = address
        self._model = model
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stub = pb_grpc.GRPCInferenceServiceStub(self._channel)  # type: ignore[no-untyped-call]  # protoc writes no types
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()

    async def infer(self, request: ClientRequest) -> list[float]:
        message = grpc_message(request, self._model)
        return await _retried(lambda: self._scores(message), _Lost, self.address)

    async def _scores(self, message: Any) -> list[float]:
        try:
            answer = await self._stub.ModelInfer(message, metadata=self._metadata, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise _Lost(error.details()) from error
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise _unauthenticated(self.address) from error
            raise Refused(error.code().name, error.details() or "") from error
        scores: list[float] = np.frombuffer(answer.raw_output_contents[0], "<f4").tolist()
        return scores


class _Lost(Exception):
    """gRPC's UNAVAILABLE."""


def _unauthenticated(address: str) -> Unauthenticated:
    return Unauthenticated(f"`{address}` must get its own token, got another or none; name the service's token file")
