"""Memory of this process and all its children, sampled while they work."""

import threading
from types import TracebackType
from typing import Final, Self

import psutil

from demo.evidence import Memory

SECONDS: Final = 0.5


class MemorySampler:
    """Samples until the block ends; `memory()` gives the peak so far.

    PSS counts a page that k processes share as 1/k in each, so the sum is what the tree really takes. Where the
    system has none (macOS), RSS stands in and counts shared pages once a process.
    """

    def __init__(self) -> None:
        self._tree = psutil.Process()
        self._peak, self._samples = 0, 0
        self._measure = "PSS" if hasattr(self._tree.memory_full_info(), "pss") else "RSS"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def memory(self) -> Memory:
        return Memory(self._peak, self._measure, self._samples)

    def _run(self) -> None:
        while True:
            self._peak = max(self._peak, self._now())
            self._samples += 1
            if self._done.wait(SECONDS):
                return

    def _now(self) -> int:
        return sum(self._bytes(process) for process in (self._tree, *self._tree.children(recursive=True)))

    def _bytes(self, process: psutil.Process) -> int:
        try:
            return process.memory_full_info().pss if self._measure == "PSS" else process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended while we looked, or is not ours to look at
            return 0
