"""Small prediction requests, and probes of health, answered where uvicorn parses HTTP: no ASGI scope, task or
middleware for each. A probe waits for no turn.

The class takes the place of uvicorn's own for HTTP. It takes a request only where it is sure of all of it; every other
one goes uvicorn's way to the ASGI application. uvicorn's class is no public interface, so its version is pinned, and a
test holds that this is in use.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:  # uvicorn loads this module before the worker has chosen how metrics are kept
    from services.core.auth import Caller, Guard
    from services.core.predictor import Predictor
    from services.rest.routes import Reply
    from services.rest.turn import Path, Turn

REQUEST_SECONDS: Final = 10.0  # from a request's first byte to its last
# With one of these a request is not the usual one: another framing, another content, or a word between two proxies.
_SPECIAL: Final = frozenset(
    (
        b"transfer-encoding",
        b"content-encoding",
        b"inference-header-content-length",
        b"expect",
        b"upgrade",
    )
)


class Hot:
    """What the connections of one worker share."""

    def __init__(
        self,
        paths: "Mapping[bytes, Path]",
        probes: "Mapping[bytes, Callable[[], Reply]]",
        turn: "Turn",
        guard: "Guard",
        predictor: "Predictor",
        max_bytes: int,
    ) -> None:
        self.paths, self.probes, self.turn = paths, probes, turn
        self.guard, self.predictor, self.max_bytes = guard, predictor, max_bytes
        self._date: list[tuple[bytes, bytes]] | None = None
        self._head = b""

    def head(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The answer's headers that are the same for a second: uvicorn renews the list with the date."""
        if headers is not self._date:
            self._date = headers
            told = b"".join(b"%s: %s\r\n" % header for header in headers)
            self._head = told + b"content-type: application/json\r\ncontent-length: "
        return self._head


class HotProtocol(HttpToolsProtocol):
    """One connection. `hot` is set by the worker when it is ready; None: all goes uvicorn's way."""

    hot: ClassVar[Hot | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._path: Path | None = None  # of the hot request that is being read
        self._probe: Callable[[], Reply] | None = None  # likewise
        self._caller: Caller | Exception | None = None
        self._body = b""
        self._parent = b""  # W3C's traceparent, when traces are on
        self._unanswered = 0  # hot requests that wait for the end of the turn
        self.began: float | None = None  # when the request that is being read did
        self.idle_since: float | None = time.monotonic()  # None: a request is being read or answered

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        _open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        _open.discard(self)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self.began, self.idle_since = time.monotonic(), None
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        path = self._hot_path()
        if path is not None:
            self._path, self._body = path, b""
            return
        self._probe = self._hot_probe()
        if self._probe is not None:
            return
        if self._unanswered and self.hot is not None:
            self.hot.turn.end()  # answers leave in the order of the requests
        self._go_uvicorns_way()

    def _hot_path(self) -> "Path | None":
        """What stands behind the path; None: this request is not one for here."""
        hot = self.hot
        if hot is None or not hot.predictor.ready or (path := hot.paths.get(self.url)) is None:
            return None
        parser = self.parser
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return None
        if self.flow.write_paused or not (self.cycle is None or self.cycle.response_complete) or self.pipeline:
            return None
        headers = dict(self.headers)
        length = headers.get(b"content-length", b"")
        if len(headers) != len(self.headers) or not _SPECIAL.isdisjoint(headers):
            return None
        if not length.isdigit() or int(length) > hot.max_bytes:
            return None
        try:
            self._caller = hot.guard.check(headers.get(b"authorization"), "predict")
            if hot.turn.trace is not None:
                self._parent = headers.get(b"traceparent", b"")
        except Exception as error:  # noqa: BLE001 - told to the client when the body has been read
            self._caller = error
        return path

    def _hot_probe(self) -> "Callable[[], Reply] | None":
        """What answers a probe of health; None: this request is none, or must wait for others."""
        hot = self.hot
        if hot is None or (probe := hot.probes.get(self.url)) is None or self.parser.get_method() != b"GET":
            return None
        idle = (self.cycle is None or self.cycle.response_complete) and not (self.pipeline or self._unanswered)
        plain = self.parser.get_http_version() == "1.1" and hot.predictor.ready
        bodied = any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)
        return probe if idle and plain and not bodied else None

    def _go_uvicorns_way(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._path is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        path, hot, caller = self._path, self.hot, self._caller
        self.began = None
        if self._probe is not None:
            self._unanswered += 1
            self.reply(self._probe())
            self._probe = None
            if not self.parser.should_keep_alive():
                self.transport.close()
            return
        if path is None or hot is None or caller is None:
            super().on_message_complete()
            return
        self._path = None
        self._unanswered += 1
        hot.turn.add(self, path, caller, self._body, self._parent)

    def reply(self, reply: "Reply") -> None:
        """Write the answer of a hot request."""
        self._unanswered -= 1
        self.server_state.total_requests += 1
        transport = self.transport
        if transport.is_closing() or self.hot is None:
            return
        extra = b"".join(b"%s: %s\r\n" % header for header in reply.headers)
        head = self.hot.head(self.server_state.default_headers)
        transport.write(b"%s%s%s%d\r\n\r\n%s" % (STATUS_LINE[reply.status], extra, head, len(reply.body), reply.body))
        if not self._unanswered and self.began is None:
            self.idle_since = time.monotonic()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is no HTTP; those that came before it are answered first."""
        if self._unanswered and self.hot is not None:
            self.hot.turn.end()
        super().send_400_response(msg)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.idle_since = None  # uvicorn's own timer watches the connection now

    def shutdown(self) -> None:
        """End the connection: uvicorn's call when the service closes. What has come whole is answered."""
        if self._unanswered and self.hot is not None:
            self.hot.turn.end()
        if self._path is not None:  # its body is still on the way: uvicorn waits for it
            self._path, body = None, self._body
            self._go_uvicorns_way()
            super().on_body(body)
        super().shutdown()


_open: Final[set[HotProtocol]] = set()


def close_idle() -> None:
    """Close connections whose request does not get on, or that wait for one for too long. To be called each second."""
    moment = time.monotonic()
    for connection in list(_open):
        began, idle = connection.began, connection.idle_since
        # The application itself answers a request that is too slow; this is for those that it never saw.
        if (began is not None and moment - began > REQUEST_SECONDS + 1) or (
            idle is not None and moment - idle > connection.timeout_keep_alive
        ):
            connection.transport.close()


def install() -> None:
    """Make uvicorn use the class for every connection from now on."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{HotProtocol.__name__}"
