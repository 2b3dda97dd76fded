"""What we use of ASGI: its types, and how a whole body is read."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from contracts.errors import RequestTimeout, TooLarge
from services.core.admission import LARGE_BYTES, Held
from services.core.request import MAX_BYTES
from services.rest.hot import REQUEST_SECONDS

DISCARD_SECONDS: Final = 5.0
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]


class Incoming:
    """The messages of a body, and whether it has `ended`."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self.ended = not message.get("more_body")
        return message

    async def discard(self) -> None:
        """Read what is left, without keeping it, for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self.ended:
                    await self.receive()


class Disconnected(Exception):
    """The client has gone before its request was whole: nobody is there to be answered."""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, held: Held) -> bytes:
    """The whole body.

    Args:
        held: what this request takes of the bytes in flight, if it is large: it grows with the body, or at once where
            its length is told. What small ones take is bounded by the number of connections.

    Raises:
        Overloaded: other bodies have all that there is; told before this one is read where its length is.
        TooLarge: more than a request may have.
        RequestTimeout: it does not come to its end.
        Disconnected: the client has gone.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > LARGE_BYTES:
        held.grow(min(int(length), MAX_BYTES))
    message = await receive()
    if not message.get("more_body") and message["type"] != "http.disconnect":
        body: bytes = message.get("body", b"")
        return body
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            return await _read_rest(message, receive, held)
    except TimeoutError:
        raise RequestTimeout(
            f"the body must come within {REQUEST_SECONDS:g} s, got a part of it; send it at once"
        ) from None


async def _read_rest(message: MutableMapping[str, Any], receive: Receive, held: Held) -> bytes:
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        part: bytes = message.get("body", b"")
        size += len(part)
        if size <= MAX_BYTES:
            held.grow(size if size > LARGE_BYTES else 0)
            parts.append(part)
        if not message.get("more_body") or size > 4 * MAX_BYTES:
            break
        message = await receive()
    if size > MAX_BYTES:
        # The body is read on up to here: most clients look for an answer only after they have sent all.
        raise TooLarge(f"a request must have at most {MAX_BYTES} bytes, got {size} or more; split it")
    return b"".join(parts)
