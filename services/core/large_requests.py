"""Large requests are answered on a thread of their own, one at a time, so that small ones need not wait for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from monitoring.metrics.declared import Metrics

# From here on a request is large: about 200 named records or 500 rows of tensors in JSON, .5 ms of work. Below, the hop
# to a thread (.1 ms) costs more than it saves.
LARGE_BYTES: Final = 128 * 2**10
Given = TypeVar("Given")
Answer = TypeVar("Answer")


class LargeRequests:
    """The queue of large requests. It has one thread: a second would hold up small requests once more."""

    def __init__(self, metrics: Metrics) -> None:
        self._queued = metrics.queued_batches
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large-batches")

    async def run(self, work: Callable[[Given], Answer], given: Given) -> Answer:
        """Do the work on the thread. A request whose client stops waiting leaves the queue."""
        started = False

        def start() -> Answer:
            nonlocal started
            started = True
            self._queued.dec()
            return work(given)

        self._queued.inc()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, start)
        except asyncio.CancelledError:
            if not started:
                self._queued.dec()
            raise
