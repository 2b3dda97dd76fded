"""How much is taken on at once, and where large requests are answered.

What is past a bound is refused at once, before its body is read: a service that queues everything answers nobody in
time.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from contracts.errors import Overloaded
from monitoring.metrics.declared import Metrics

# From here on a request is large: about 200 named records or 500 rows of tensors in JSON, .5 ms of work. Below, the hop
# to a thread (.1 ms) costs more than it saves.
LARGE_BYTES: Final = 128 * 2**10
MAX_QUEUED: Final = 32  # large requests that wait
Given = TypeVar("Given")
Answer = TypeVar("Answer")


class Budget:
    """An amount that requests share: rows being answered, or bytes of bodies. Thread-safe."""

    def __init__(self, what: str, limit: int) -> None:
        self._what, self.limit = what, limit
        self._lock = threading.Lock()
        self.used = 0

    def take(self, amount: int) -> None:
        """Take a part, which `give` returns.

        Raises:
            Overloaded: there is not so much left.
        """
        with self._lock:
            if self.used + amount > self.limit:
                raise Overloaded(
                    f"at most {self.limit} {self._what} may be in flight, got {amount} beside {self.used}; "
                    "try again later"
                )
            self.used += amount

    def give(self, amount: int) -> None:
        with self._lock:
            self.used -= amount

    @contextmanager
    def holding(self, amount: int) -> Iterator[None]:
        """`take` for the length of a block."""
        self.take(amount)
        try:
            yield
        finally:
            self.give(amount)


class Held:
    """What one request holds of a budget, as the end of a `with` gives back. Of one thread at a time."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._amount = 0

    def grow(self, amount: int) -> None:
        """Hold so much in all, or what is held already, if that is more.

        Raises:
            Overloaded: there is not so much left; what is held stays.
        """
        if amount > self._amount:
            self._budget.take(amount - self._amount)
            self._amount = amount

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give(self._amount)
        self._amount = 0


class LargeRequests:
    """The queue of large requests. It has one thread: a second would hold up small requests once more."""

    def __init__(self, metrics: Metrics) -> None:
        self._gauge = metrics.queued_batches
        self._lock = threading.Lock()
        self._queued = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large-batches")

    async def run(self, work: Callable[[Given], Answer], given: Given) -> Answer:
        """Do the work on the thread. A request whose client stops waiting leaves the queue.

        Raises:
            Overloaded: as many wait as may.
        """
        started = False

        def start() -> Answer:
            nonlocal started
            started = True
            self._count(-1)
            return work(given)

        if self._queued >= MAX_QUEUED:
            raise Overloaded(f"at most {MAX_QUEUED} large requests may wait, got one more; try again later")
        self._count(1)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, start)
        except asyncio.CancelledError:
            if not started:
                self._count(-1)
            raise

    def _count(self, change: int) -> None:
        with self._lock:
            self._queued += change
            self._gauge.set(self._queued)
