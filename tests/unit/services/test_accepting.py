"""Connections that come while each turn of the loop takes long: real sockets, a real uvicorn on uvloop."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn
import uvloop

from services.process.accepting import Acceptor, find_server

TURN_SECONDS = 0.01
CLIENTS = 200
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def application(scope: Any, _: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def serving(*, accepting: bool) -> Iterator[tuple[str, int]]:
    """A server whose turns are as long as under load."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
    server = uvicorn.Server(uvicorn.Config(application, loop="uvloop", lifespan="off", log_config=None))

    async def serve() -> None:
        loop = asyncio.get_running_loop()

        def turn() -> None:
            time.sleep(TURN_SECONDS)
            if not server.should_exit:
                loop.call_soon(turn)

        running = loop.create_task(server.serve([listener]))
        acceptor = await Acceptor.start(server) if accepting else None
        loop.call_soon(turn)
        while not server.should_exit:
            await asyncio.sleep(TURN_SECONDS)
        if acceptor is not None:
            acceptor.stop()
            acceptor.stop()  # once more is as once
        await running

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join(30)


def seconds_for_all(address: tuple[str, int]) -> float:
    """Until each of many clients that come at once has its answer."""
    with ExitStack() as stack:
        began = time.monotonic()
        clients = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(CLIENTS)]
        for client in clients:
            client.sendall(REQUEST)
        assert all(client.recv(1_000).startswith(b"HTTP/1.1 204") for client in clients)
        return time.monotonic() - began


def test_clients_that_come_at_once_wait_for_few_turns() -> None:
    """Beside a server that accepts one a turn, on the same machine at the same time."""
    with serving(accepting=False) as address:
        one_a_turn = seconds_for_all(address)
    with serving(accepting=True) as address:
        accepted = seconds_for_all(address)
        with pytest.raises(RuntimeError, match="SIGTERM must be handled by uvicorn"):
            find_server()  # this process's main thread has no server
    assert one_a_turn >= CLIENTS * TURN_SECONDS
    assert accepted < 0.7 * one_a_turn
