"""One HTTP request, its answer, and what stands behind a path."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from contracts.errors import Code, Overloaded
from services.core.auth import NOBODY, Caller, Need
from services.core.refusals import refused
from services.core.request import Answer
from services.core.status import STATUS, describe
from services.rest.asgi import Header

_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Call:
    """One HTTP request. `started` is the `perf_counter` when its body was complete."""

    headers: dict[bytes, bytes]
    body: bytes = b""
    name: str = ""
    version: str = ""
    caller: Caller = NOBODY
    scheme: str = "http"
    request_id: str = ""
    started: float = field(default_factory=time.perf_counter)


@dataclass(slots=True)
class Reply:
    """The answer to a `Call`. `headers` are those beside content type and length; `answer` is of a prediction,
    `code` one of `contracts.errors`."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[Header, ...] = ()
    answer: Answer | None = None
    code: str = "ok"

    @property
    def request_id(self) -> str:
        """Of the prediction that this answers; "": it answers none."""
        return self.answer.id if self.answer is not None else ""


@dataclass(frozen=True, slots=True)
class Route:
    """`need`: what a token must have for it; None: no token. `predicts`: counted in the metrics of predictions."""

    method: str
    handler: Callable[[Call], Reply]
    need: Need | None = "read"
    predicts: bool = False


class ErrorAnswer(msgspec.Struct):
    """The protocol's form of a refusal; the message names the field and the rule."""

    error: str


def refusal(error: Exception, caller: str, request_id: str, started: float) -> tuple[Code, Reply]:
    """The code and the reply for an error, which is reported to the log. "" is what is not known."""
    code, text = describe(error)
    refused("rest", code, text, request_id, caller, round((time.perf_counter() - started) * 1e6))
    headers: tuple[Header, ...] = ((b"www-authenticate", b"Bearer"),) if code == "unauthenticated" else ()
    if isinstance(error, Overloaded):
        headers = ((b"retry-after", str(error.retry_after).encode()),)
    return code, Reply(STATUS[code][0], _encode(ErrorAnswer(text)), headers=headers, code=code)


def wrong_method(route: Route, method: str) -> Reply:
    """The reply to another method than the route's."""
    answer = ErrorAnswer(f"the method must be {route.method}, got {method}; see /openapi.json")
    return Reply(405, _encode(answer), headers=((b"allow", route.method.encode()),), code="invalid_input")


def wrong_encoding(headers: Mapping[bytes, bytes]) -> Reply | None:
    """Bodies come as they are, whole or in chunks: the refusal of any other; None: it is one of these."""
    for name, plain, status in ((b"content-encoding", b"identity", 415), (b"transfer-encoding", b"chunked", 501)):
        found = headers.get(name, plain)
        if found.strip().lower() != plain:
            told = f"`{name.decode().title()}` must be {plain.decode()}, got {found[:32]!r}; send the body as it is"
            close = ((b"connection", b"close"),)
            return Reply(status, _encode(ErrorAnswer(told)), headers=close, code="invalid_input")
    return None
