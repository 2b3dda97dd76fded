"""The monitor's job, again and again: each run is a process of its own, so its memory goes back, and one that crashes
or hangs takes no gauge away.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from monitoring.metrics.process import ProcessMetrics

FIRST_SECONDS: Final = 5.0  # after the start: page and gauges come first
AGAIN_SECONDS: Final = 300.0  # after a run that failed, or the interval where that is shorter: a new log may be there
LONGEST_SECONDS: Final = 900.0  # a run that takes longer hangs, and is ended
END_SECONDS: Final = 3.0  # that a run has to give back its lease
NICE: Final = 10  # a scrape goes first
JOB: Final = (sys.executable, "-m", "cli", "monitor")
_PROJECT: Final = Path(__file__).parents[2]  # where `python -m` finds our packages
logger = logging.getLogger(__name__)


class Runs:
    """Runs the job every so often, one at a time, on a thread that `start` starts and `stop` ends.

    Args:
        every: seconds from the begin of one run to that of the next. A longer run delays the next one.
        environment: of the job, which reads its settings there.
        command: the job; its lines go where this process's go.
    """

    def __init__(
        self, every: float, environment: Mapping[str, str], metrics: ProcessMetrics, command: tuple[str, ...] = JOB
    ) -> None:
        self._every, self._environment, self._command = every, environment, command
        self._metrics = metrics
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the run that is under way, and start no other one. Takes `END_SECONDS` at most."""
        self._over.set()
        self._thread.join(END_SECONDS + 1.0)

    def _run(self) -> None:
        wait = min(FIRST_SECONDS, self._every)
        while not self._over.wait(wait):
            begun = time.monotonic()
            trouble = self._once()
            took = time.monotonic() - begun
            if self._over.is_set():
                return
            pause = self._every if trouble is None else min(self._every, AGAIN_SECONDS)
            wait = max(pause - took, 0.0)
            self._metrics.runs["ok" if trouble is None else "failed"]()
            self._metrics.run_seconds.set(took)
            if trouble is not None:
                logger.error("the monitor's run failed: %s; tried again in %.0f s", trouble, wait)

    def _once(self) -> str | None:
        """One run. Returns why it failed; None: it did not."""
        try:
            process = subprocess.Popen(
                self._command, cwd=_PROJECT, env=dict(self._environment), stdin=subprocess.DEVNULL
            )
        except OSError as error:
            return f"it cannot be started: {error}"
        os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        deadline = time.monotonic() + LONGEST_SECONDS
        while process.poll() is None:
            if self._over.wait(0.2) or time.monotonic() > deadline:
                _end(process)
                return f"it took longer than {LONGEST_SECONDS:g} s and was ended"
        status = process.returncode
        return None if status == 0 else f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
