"""Steady load as the world sends it, and an account of every request.

Open loop: each request leaves at its moment of a schedule with a constant rate, whether earlier ones were answered or
not, and its latency counts from that moment; a service that stalls is not spared. A first try that fails is repeated
once, with the same id, after `RETRY_SECONDS`. Below that nothing that was sent is tried again: aiohttp repeats no POST
by itself, and no service config may ask gRPC to. What stays is what gRPC's own contract calls transparent: a call
that meets the goodbye of its connection (GOAWAY) before the server takes it goes over the next connection. HTTP/2 says
of such a call that nothing has processed it, so it counts as one try. (Not let through, 0 to 8 of 28,000 were lost so.)
"""

import asyncio
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp
import grpc
import numpy as np

from deploy.cluster.cluster import Cluster
from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.support.payloads import INFER, json_body, proto, rows
from tests.support.serving import wait_until

RATES: Final = {"rest": 200, "grpc": 50}  # requests a second
TIMEOUT_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 1.0
CLIENTS: Final = {"rest": 8, "grpc": 4}  # each with connections of its own, so that every pod has some
CHANNEL: Final = (
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # in truth how long one attempt may take
    ("grpc.max_reconnect_backoff_ms", 500),
)


class Lost(Exception):
    """A try without the right answer."""


@dataclass(slots=True)
class Sent:
    """One request. `failures`: what each lost try heard; `seconds` from its scheduled moment to its answer or end."""

    name: str
    protocol: str
    failures: list[str] = field(default_factory=list)
    acknowledged: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    sent: list[Sent]

    @property
    def failed_first_try(self) -> int:
        return sum(bool(one.failures) for one in self.sent)

    @property
    def failed_after_retry(self) -> int:
        return sum(not one.acknowledged for one in self.sent)

    @property
    def acknowledged(self) -> set[str]:
        return {one.name for one in self.sent if one.acknowledged}

    @property
    def p99_ms(self) -> float:
        """Of what was acknowledged, its retry included."""
        return round(float(np.quantile([one.seconds for one in self.sent if one.acknowledged], 0.99)) * 1000, 1)

    def by_protocol(self) -> Counter[str]:
        return Counter(one.protocol for one in self.sent)

    def failures(self) -> Counter[str]:
        """What lost tries heard, and how often."""
        return Counter(f"{one.protocol}: {failure}" for one in self.sent for failure in one.failures)


class Load:
    """Sends on a thread of its own from `start` until `stop`; `run` begins every id."""

    def __init__(self, cluster: Cluster, token: str) -> None:
        self.run = f"load-{uuid4().hex[:8]}"
        self._cluster, self._authorization = cluster, f"Bearer {token}"
        self._sent: list[Sent] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="load")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> Outcome:
        """Ends the schedule and waits for every answer that is still out."""
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        return Outcome(self._sent)

    def wait_for(self, seconds: float) -> None:
        """Until that many seconds more of the schedule have been sent."""
        enough = len(self._sent) + seconds * sum(RATES.values())
        wait_until(lambda: len(self._sent) >= enough or not self._thread.is_alive(), "the schedule", seconds + 60)
        assert self._thread.is_alive()

    async def _main(self) -> None:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            senders = {"rest": await self._rest(stack), "grpc": await self._grpc(stack)}
            for protocol, clients in senders.items():
                group.create_task(self._schedule(protocol, clients, group))

    async def _schedule(
        self, protocol: str, clients: list[Callable[[str], Coroutine[Any, Any, None]]], group: asyncio.TaskGroup
    ) -> None:
        loop, turn = asyncio.get_running_loop(), itertools.cycle(clients)
        start = loop.time()
        for number in itertools.count():
            due = start + number / RATES[protocol]
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if self._stopping.is_set():
                return
            sent = Sent(f"{self.run}-{protocol}-{number}", protocol)
            self._sent.append(sent)
            group.create_task(_deliver(sent, next(turn), due))

    async def _rest(self, stack: AsyncExitStack) -> list[Callable[[str], Coroutine[Any, Any, None]]]:
        url = f"http://{self._cluster.address('rest')}{INFER}"
        before, after = json.dumps(json_body(*rows(1), id="?")).split('"?"')

        def client(session: aiohttp.ClientSession) -> Callable[[str], Coroutine[Any, Any, None]]:
            async def send(name: str) -> None:
                async with session.post(url, data=f'{before}"{name}"{after}') as reply:
                    content = await reply.read()
                    if reply.status != 200:
                        raise Lost(f"status {reply.status}")
                    _check(name, json.loads(content)["id"])

            return send

        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        headers = {"authorization": self._authorization, "content-type": "application/json"}
        return [
            client(
                await stack.enter_async_context(
                    aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout, headers=headers)
                )
            )
            for _ in range(CLIENTS["rest"])
        ]

    async def _grpc(self, stack: AsyncExitStack) -> list[Callable[[str], Coroutine[Any, Any, None]]]:
        metadata = (("authorization", self._authorization),)
        row = rows(1)

        def client(channel: grpc.aio.Channel) -> Callable[[str], Coroutine[Any, Any, None]]:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated

            async def send(name: str) -> None:
                try:
                    reply = await stub.ModelInfer(
                        proto(*row, id=name), metadata=metadata, timeout=TIMEOUT_SECONDS, wait_for_ready=False
                    )
                except grpc.aio.AioRpcError as error:
                    raise Lost(f"{error.code().name}: {(error.details() or '')[:80]}") from error
                _check(name, reply.id)

            return send

        address = self._cluster.address("grpc")
        return [
            client(await stack.enter_async_context(grpc.aio.insecure_channel(address, options=CHANNEL)))
            for _ in range(CLIENTS["grpc"])
        ]


async def _deliver(sent: Sent, send: Callable[[str], Coroutine[Any, Any, None]], due: float) -> None:
    loop = asyncio.get_running_loop()
    for wait in (0.0, RETRY_SECONDS):
        if wait:
            await asyncio.sleep(wait)
        try:
            await send(sent.name)
        except (Lost, TimeoutError, aiohttp.ClientError, OSError) as error:
            sent.failures.append(f"{type(error).__name__} {error}")
        else:
            sent.acknowledged = True
            break
    sent.seconds = loop.time() - due


def _check(asked: str, answered: str) -> None:
    if answered != asked:
        raise Lost("an answer to another request")


@contextmanager
def steady_load(cluster: Cluster, settle: float = 3.0) -> Iterator[Load]:
    """Load around the block: some seconds before it, and its author says when it ends."""
    load = Load(cluster, Path(cluster.root / "secrets/token").read_text(encoding="utf-8").strip())
    load.start()
    try:
        load.wait_for(settle)
        yield load
    finally:
        load.stop()
