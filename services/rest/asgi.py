"""What we use of ASGI: its types, and how a whole body is read."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from contracts.errors import InvalidInput, TooLarge
from services.core.request import MAX_BYTES

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]


async def read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """The whole body. A body that never ends is cut off by the service's time limit."""
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise InvalidInput("`Content-Encoding` must be identity, got another one; send the body as it is")
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput("the body must be complete, got an end of the connection")
        body = message.get("body", b"")
        size += len(body)
        if size <= MAX_BYTES:
            parts.append(body)
        elif size > 4 * MAX_BYTES:
            break
    if size > MAX_BYTES:
        # The body is read on up to here: most clients look for an answer only after they have sent all.
        raise TooLarge(f"a request must have at most {MAX_BYTES} bytes, got {size} or more; split it")
    return b"".join(parts)
