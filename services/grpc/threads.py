"""Threads that answer calls, and the end of calls whose message does not come."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

import grpc

from contracts.errors import InvalidInput

Context: TypeAlias = grpc.ServicerContext
_LOOK_SECONDS: Final = 0.25


class Threads(Executor):
    """Runs calls in their order. Leaner than a `ThreadPoolExecutor`: it makes no future of each, which nobody reads."""

    def __init__(self, count: int) -> None:
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=f"grpc-{i}", daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Calls that no thread has taken yet."""
        return self._queue.qsize()

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        self._queue.put(partial(work, *given, **named))
        return None  # type: ignore[return-value] # to grpc.server: nothing to wait for

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - the interface's
        for _ in self._threads:
            self._queue.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()


class Reader:
    """Reads the one message of a call. A message that does not come would hold its thread for ever: such calls end."""

    def __init__(self) -> None:
        self._reading: dict[Context, float] = {}  # until when
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="grpc-reader", daemon=True).start()

    def read(self, messages: Iterator[bytes], context: Context, seconds: float) -> bytes:
        """The message.

        Args:
            seconds: after which the call is cancelled.

        Raises:
            InvalidInput: the client ended the call without one.
            grpc.RpcError: the call is cancelled.
        """
        self._reading[context] = time.monotonic() + seconds
        try:
            for message in messages:
                return message
        finally:
            del self._reading[context]
        raise InvalidInput("a call must have one message, got none; send one")

    def close(self) -> None:
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            moment = time.monotonic()
            for context, until in self._reading.copy().items():
                if moment > until:
                    context.cancel()
