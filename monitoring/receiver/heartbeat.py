"""The dead man's switch: who receives alerts notices when none can come any more.

Prometheus always fires Watchdog, and Alertmanager repeats it each minute. Its silence is the only alarm that needs
neither of them.
"""

import logging
import threading
import time
from typing import Final

AGAIN_SECONDS: Final = 300.0  # between two lines about a silence that lasts
logger = logging.getLogger(__name__)


class Heartbeat:
    """When the Watchdog came last. Thread-safe.

    Args:
        limit: seconds without one, counted from the start on, after which it is missing.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._last = time.monotonic()
        self._told: float | None = None  # when its silence was last said
        self._lock = threading.Lock()

    @property
    def silent_seconds(self) -> float:
        return time.monotonic() - self._last

    @property
    def trouble(self) -> str | None:
        """Why no alarm can arrive; None: one can."""
        if (silent := self.silent_seconds) <= self.limit:
            return None
        return f"no Watchdog has come for {silent:.0f} s: Prometheus, Alertmanager or the way from them is broken"

    def beat(self) -> None:
        with self._lock:
            self._last = time.monotonic()
            if self._told is not None:
                logger.info("RESOLVED  critical  WatchdogMissing  the Watchdog comes again")
            self._told = None

    def look(self) -> None:
        """Say in the log that it is missing, once and then every `AGAIN_SECONDS`."""
        with self._lock:
            trouble, now = self.trouble, time.monotonic()
            if trouble is not None and (self._told is None or now - self._told >= AGAIN_SECONDS):
                logger.error("FIRING  critical  WatchdogMissing  %s  docs/runbooks/Watchdog.md", trouble)
                self._told = now

    def metrics(self) -> bytes:
        """For a Prometheus that is another one than that which is missed."""
        return (
            "# HELP windsock_watchdog_silent_seconds Since the Watchdog came last, or since the start.\n"
            "# TYPE windsock_watchdog_silent_seconds gauge\n"
            f"windsock_watchdog_silent_seconds {self.silent_seconds:.3f}\n"
            "# HELP windsock_watchdog_missing Whether no alarm can arrive: 1 it is so, 0 it is not.\n"
            "# TYPE windsock_watchdog_missing gauge\n"
            f"windsock_watchdog_missing {int(self.trouble is not None)}\n"
        ).encode()
