"""One HTTP request, its answer, and what stands behind a path."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from services.core.auth import NOBODY, Caller, Need
from services.core.request import Answer
from services.rest.asgi import Header


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
    """The answer to a `Call`. `headers` are those beside content type and length; `answer` is of a prediction."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[Header, ...] = ()
    answer: Answer | None = None

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
