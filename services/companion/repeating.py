"""A step that is done again and again on a thread of its own, and goes on through every outage."""

import logging
import threading
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

BACK_OFF_SECONDS: Final = (0.1, 5.0)  # first and longest wait after a step that failed
LAST_SECONDS: Final = 0.5  # longest one once the end is near


class Repeating:
    """Calls `step` again and again until it is stopped.

    Attributes:
        works: whether the last step did; None before the first one.
    """

    def __init__(self, fault: str, step: Callable[[], bool], seconds: float) -> None:
        """
        Args:
            fault: what a failure means, as the log says it.
            step: returns whether there is more to do at once.
            seconds: between two steps, when there is not.
        """
        self._fault, self._step, self._seconds = fault, step, seconds
        self._wait = BACK_OFF_SECONDS[0]
        self._finishing = threading.Event()  # set: end when there is no more to do
        self._over = threading.Event()  # set: end at once
        self._thread = threading.Thread(target=self._run, name=fault, daemon=True)
        self.works: bool | None = None

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Let it end once there is no more to do."""
        self._finishing.set()

    def stop(self) -> None:
        """Let it end after the step that is under way."""
        self._over.set()
        self._finishing.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end. Returns whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._over.is_set():
            finishing = self._finishing.is_set()  # read first: what comes to the spool before is moved
            pause, more = self._attempt()
            if finishing and self.works and not more:
                return
            if finishing:
                self._over.wait(min(pause, LAST_SECONDS))
            elif not more:
                self._finishing.wait(pause)

    def _attempt(self) -> tuple[float, bool]:
        """Do one step. Returns the seconds to wait, and whether there is more to do at once."""
        try:
            more = self._step()
        except Exception as error:  # noqa: BLE001 - whatever it is, a thread that ends would do nothing any more
            if self.works is not False:
                logger.warning("%s: %s; tried again until it works", self._fault, error)
            self.works = False
            pause, self._wait = self._wait, min(2 * self._wait, BACK_OFF_SECONDS[1])
            return pause, False
        if self.works is False:
            logger.info("over: %s", self._fault)
        self.works = True
        self._wait = BACK_OFF_SECONDS[0]
        return (0.0, True) if more else (self._seconds, False)
