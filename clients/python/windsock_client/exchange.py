"""One call, without a transport: what to send, when to send it again, and what the answer means.

A call is a generator: it yields a `Request` to be sent or a `Wait`, is sent the `Reply` or what went wrong, and returns
the result. So `Client` and `AsyncClient` differ in nothing but how they send and wait.
"""

import random
import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

import msgspec

from windsock_client.errors import Busy, ClientError, Failed, Refused, Unreachable

FIRST_PAUSE: Final = 0.1  # seconds, where the service names none; doubled each time
_BUSY: Final = (429, 503)
_jitter: Final = random.SystemRandom().uniform
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Retry:
    """How long a call is tried again when the service is busy or cannot be reached.

    Attributes:
        tries: at most, the first included; 1 is no retry.
        seconds: that all tries and pauses may take together; a pause that would end later is not begun.
    """

    tries: int = 5
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.tries < 1 or self.seconds < 0:
            raise ValueError(
                f"`tries` must be 1 or more and `seconds` 0 or more, got {self.tries} and {self.seconds}; correct them"
            )


@dataclass(frozen=True, slots=True)
class Request:
    """`body` None is a GET, else a POST of JSON."""

    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. `retry_after`: the header of that name, as it came."""

    status: int
    body: bytes
    retry_after: str | None = None


Step = Request | Wait
Outcome = Reply | Unreachable  # of a request; of a wait, anything
Call = Generator[Step, Any, Result]


def exchange(request: Request, kind: type[Result], retry: Retry) -> Call[Result]:
    """Send until there is a result.

    Args:
        kind: struct of the answer.

    Raises:
        ClientError: the kinds that errors.py draws.
    """
    deadline, pause = time.monotonic() + retry.seconds, FIRST_PAUSE
    for left in range(retry.tries - 1, -1, -1):
        outcome: Outcome = yield request
        if isinstance(outcome, Reply) and outcome.status == 200:
            return _decode(outcome, kind)
        error = _error(outcome)
        if not isinstance(error, Busy | Unreachable):
            raise error
        named = error.retry_after if isinstance(error, Busy) else None
        # Clients that were refused together must not all come back together.
        seconds = named + _jitter(0, FIRST_PAUSE) if named is not None else _jitter(pause / 2, pause)
        pause *= 2
        if not left or time.monotonic() + seconds > deadline:
            raise error
        yield Wait(seconds)
    raise AssertionError("the last try returns or raises")


def is_ready() -> Call[bool]:
    """Whether the service takes requests; asked once."""
    outcome: Outcome = yield Request("/v2/health/ready")
    return isinstance(outcome, Reply) and outcome.status == 200


def _decode(reply: Reply, kind: type[Result]) -> Result:
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except msgspec.DecodeError as error:
        message = f"the answer must be a {kind.__name__}, got: {error}; check the address"
        raise Failed(message, reply.status) from error


def _error(reply: Reply | Unreachable) -> ClientError:
    if isinstance(reply, Unreachable):
        return reply
    try:
        message = msgspec.json.decode(reply.body, type=dict[str, str])["error"]
    except (msgspec.DecodeError, KeyError):
        message = f"the service answered {reply.status}: {reply.body[:200]!r}"
    if reply.status in _BUSY:
        return Busy(message, reply.status, seconds_of(reply.retry_after))
    return (Refused if 400 <= reply.status < 500 else Failed)(message, reply.status)


def seconds_of(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds from now. It may be a number or an HTTP date; None: it is missing or neither."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
