"""Clients that look on: health while others are busy, large bodies at once, and memory meanwhile."""

import asyncio
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")


def health_ms(port: int, path: str, timeout: float = 30.0) -> float:
    """Milliseconds from connecting to the answer, on a connection of its own, as Kubernetes' probes are.

    Raises:
        OSError: no answer within `timeout` seconds, or another one than 200.
    """
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout) as stream:
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = stream.recv(4096)
    spent = (time.perf_counter() - start) * 1e3
    if b" 200 " not in answer.partition(b"\r\n")[0]:
        raise OSError(f"{path} must answer 200, got {answer[:100]!r}")
    return spent


def meanwhile(work: Callable[[], Found], look: Callable[[], float], every: float = 0.05) -> tuple[Found, list[float]]:
    """Do `work` in a thread, and `look` again and again until it is done."""
    with ThreadPoolExecutor(1) as pool:
        future, seen = pool.submit(work), [look()]
        while not future.done():
            seen.append(look())
            time.sleep(every)
        return future.result(), seen


async def send_large(port: int, path: str, body: bytes, token: str, clients: int, seconds: float) -> dict[str, int]:
    """Each client sends the body, waits for its answer, and sends it again. Returns statuses; "none" is no answer."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", "Connection: close"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    request = "\r\n".join([*lines, f"Content-Length: {len(body)}\r\n\r\n"]).encode()
    statuses: Counter[str] = Counter()
    end = time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < end:
            try:
                async with asyncio.timeout(60):
                    statuses[await _status(port, request, body)] += 1
            except (OSError, TimeoutError):
                statuses["none"] += 1
            await asyncio.sleep(0.05)  # one that was refused does not come back at once

    await asyncio.gather(*(client() for _ in range(clients)))
    return dict(statuses)


async def _status(port: int, request: bytes, body: bytes) -> str:
    """The answer may come before the body was sent: a server that refuses need not read it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        sending = asyncio.ensure_future(_send(writer, body))
        try:
            line = await reader.readline()
        finally:
            sending.cancel()
        await reader.read()
        return line.split()[1].decode() if line else "none"
    finally:
        writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, body: bytes) -> None:
    view = memoryview(body)
    for start in range(0, len(body), 2**18):
        writer.write(view[start : start + 2**18])
        await writer.drain()


if __name__ == "__main__":
    port_, path_, body_, token_, clients_, seconds_ = sys.argv[1:]
    content = Path(body_).read_bytes()
    print(json.dumps(asyncio.run(send_large(int(port_), path_, content, token_, int(clients_), float(seconds_)))))
