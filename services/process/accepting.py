"""Accepts connections as fast as they come.

uvloop accepts one connection a turn of its loop. Under load a turn answers hundreds of requests, and of 512 clients
that come at once the last one would wait for 512 turns, and so would a health check behind them.
"""

import asyncio
import contextlib
import os
import signal
import socket
from functools import partial
from typing import Any, Final, Self

import uvicorn

MOST: Final = 64  # a turn
LOOK_SECONDS: Final = 0.01


def find_server() -> uvicorn.Server:
    """The server that runs this process's loop: BentoML keeps it to itself, but it handles SIGTERM.

    Raises:
        RuntimeError: another one handles it.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not isinstance(server, uvicorn.Server):
        raise RuntimeError(f"SIGTERM must be handled by uvicorn, got {server!r}")  # noqa: TRY004 - the caller gave none
    return server


class Acceptor:
    """Accepts beside uvicorn, on its listening socket and for its protocol. Belongs to the loop's thread.

    Args:
        server: has started. A new connection is what it would make of it.
    """

    @classmethod
    async def start(cls, server: uvicorn.Server) -> Self:
        """Wait until the server listens."""
        while not server.started:
            await asyncio.sleep(LOOK_SECONDS)
        return cls(server)

    def __init__(self, server: uvicorn.Server) -> None:
        config = server.config
        # uvicorn's own way to make one is a function inside of `Server.startup`.
        protocol: Any = config.http_protocol_class
        self._protocol = partial(
            protocol,
            config=config,
            server_state=server.server_state,
            app_state=server.lifespan.state,
        )
        self._ssl = config.ssl
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(fileno=os.dup(server.servers[0].sockets[0].fileno()))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop.add_reader(self._socket, self._accept)

    def stop(self) -> None:
        """Accept no more. Connections that were accepted go on."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _accept(self) -> None:
        for _ in range(MOST):
            try:
                connection, _ = self._socket.accept()
            except OSError:  # none waits, or no descriptor is free, which uvloop deals with
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it has gone already, or its handshake failed
            await self._loop.connect_accepted_socket(self._protocol, connection, ssl=self._ssl)
