"""Open-loop load on a REST endpoint: a request comes when its time has come, whether or not others were answered.

    python -m benchmarks.load.arrivals PORT PATH BODIES TOKEN RATE CONNECTIONS SECONDS

Arrivals are a Poisson process of RATE a second. A request's time begins at its arrival, also when it waits for one of
the CONNECTIONS, so a slow server cannot slow its own load; the time from its sending is told beside it. It is a client
of our own because the usual ones measure themselves at such rates: on one core, against a server that answers at once,
vegeta had a p99 of 39 ms at 20,000 a second and ended at 27,000; this one had 1.1 ms at 40,000 and ends at 48,000.
Prints one JSON object.
"""

import asyncio
import json
import sys
from collections import Counter, deque
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import uvloop

MOST_A_SECOND: Final = 40_000.0  # arrivals that this client gives without delay of its own
PATIENCE: Final = 5.0  # seconds after the last arrival for what is under way
SEED: Final = 1


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._missing = 0  # bytes of the answer
        self._status = ""
        self.arrival = self.sent = 0.0
        self.send: Any = None

    def connection_made(self, transport: Any) -> None:
        self.send = transport.write
        self._load.free.append(self)

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            head = data.lower().partition(b"\r\n\r\n")[0]
            length = head.partition(b"content-length:")[2].partition(b"\r")[0]
            self._missing = len(head) + 4 + int(length)
            self._status = data[9:12].decode()
        self._missing -= len(data)
        if not self._missing:
            self._load.answered(self, self._status)

    def connection_lost(self, _: Exception | None) -> None:
        self._load.replace(self)


class Load:
    """What was sent and came back. `arrivals`: seconds from the start, ascending."""

    def __init__(self, port: int, requests: list[bytes], arrivals: list[float]) -> None:
        self.free: deque[Connection] = deque()
        self._port, self._requests, self._arrivals = port, requests, arrivals
        self._tasks: set[asyncio.Task[None]] = set()
        self._sent, self._begin = 0, 0.0
        self._times: dict[str, list[tuple[float, float]]] = {}  # from the arrival, and from when it was sent
        self._done: asyncio.Future[None]

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: Connection(self), "127.0.0.1", self._port)

    def replace(self, connection: Connection) -> None:
        """Open another one instead of one that the server closed; a request on it was not answered."""
        if self._done.done():
            return
        if connection in self.free:
            self.free.remove(connection)
        task = asyncio.ensure_future(self.connect())
        self._tasks.add(task)  # the loop holds tasks weakly
        task.add_done_callback(self._tasks.discard)

    async def run(self) -> dict[str, Any]:
        self._done = asyncio.get_running_loop().create_future()
        self._begin = perf_counter()
        self._tick()
        await self._done
        return self._found(perf_counter() - self._begin)

    def answered(self, connection: Connection, status: str) -> None:
        now = perf_counter() - self._begin
        self._times.setdefault(status, []).append((now - connection.arrival, now - connection.sent))
        self.free.append(connection)

    def _tick(self) -> None:
        """Send what is due. It asks the clock at every turn of the loop: this process has a core of its own."""
        now, count, arrivals = perf_counter() - self._begin, len(self._arrivals), self._arrivals
        while self._sent < count and arrivals[self._sent] <= now and self.free:
            connection = self.free.popleft()
            connection.arrival, connection.sent = arrivals[self._sent], now
            connection.send(self._requests[self._sent % len(self._requests)])
            self._sent += 1
        answers = sum(map(len, self._times.values())) if self._sent == count or not self.free else 0
        if answers == count or now > arrivals[-1] + PATIENCE:
            self._done.set_result(None)
        else:
            asyncio.get_running_loop().call_soon(self._tick)

    def _found(self, seconds: float) -> dict[str, Any]:
        counts = Counter({status: len(times) for status, times in self._times.items()})
        good = np.array(self._times.get("200", []), float).reshape(-1, 2) * 1e3
        refused = counts["429"] + counts["503"]
        return {
            "answers": len(good),
            "seconds": seconds,
            "p50_ms": float(np.percentile(good[:, 0], 50)) if len(good) else None,
            "p99_ms": float(np.percentile(good[:, 0], 99)) if len(good) else None,
            "p99_sent_ms": float(np.percentile(good[:, 1], 99)) if len(good) else None,
            "refused": refused,
            "errors": len(self._arrivals) - len(good) - refused,
            "offered": len(self._arrivals) / self._arrivals[-1],
        }


async def main(port: int, path: str, bodies: Path, token: str, rate: float, connections: int, seconds: float) -> None:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    head = "\r\n".join([*lines, "Content-Length: %d\r\n\r\n"]).encode()
    requests = [head % len(body) + body for body in bodies.read_bytes().splitlines()]
    gaps = np.random.default_rng(SEED).exponential(1 / rate, int(rate * seconds))
    load = Load(port, requests, np.cumsum(gaps).tolist())
    for _ in range(connections):
        await load.connect()
    print(json.dumps(await load.run()))


if __name__ == "__main__":
    port_, path_, bodies_, token_, rate_, connections_, seconds_ = sys.argv[1:]
    uvloop.run(main(int(port_), path_, Path(bodies_), token_, float(rate_), int(connections_), float(seconds_)))
