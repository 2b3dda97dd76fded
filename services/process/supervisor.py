"""Workers and companion, kept running until the service is told to stop.

A worker that dies is replaced at once, while the others answer: the listening socket is the launcher's, so connections
that nobody has accepted wait for the next one. What another start cannot mend ends the service: a first start that
fails, a worker that does not become ready, and a worker that dies again and again. The companion is started again as
often as it dies, and its death changes nothing for clients; only one that refuses its settings or the database before
it has begun ends the service.
"""

import asyncio
import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from services.process.child import Child, Command

logger = logging.getLogger(__name__)

START_SECONDS: Final = 60.0  # until a worker is ready
DEATHS: Final = 5  # of one worker within DEATHS_SECONDS: starting it once more would not help
DEATHS_SECONDS: Final = 30.0
BACK_OFF_SECONDS: Final = (0.5, 5.0)  # between two starts of the companion; it doubles while it dies young
YOUNG_SECONDS: Final = 10.0


class EarlyEnd(Exception):
    """The service cannot go on; says why."""


class Supervisor:
    """All processes of the service.

    Args:
        companion: None: it is run by somebody else.
        forget: is called with the pid of each worker that died.
    """

    def __init__(self, workers: Sequence[Command], companion: Command | None, forget: Callable[[int], None]) -> None:
        self._commands, self._companion_command, self._forget = workers, companion, forget
        self._workers: set[Child] = set()
        self._companion: Child | None = None
        self._stopping = asyncio.Event()
        self._companion_stops = asyncio.Event()

    async def run(self, asked: asyncio.Event, worker_seconds: float, companion_seconds: float) -> bool:
        """Run until `asked` is set, then end all. Returns whether they ended by themselves, in time.

        Args:
            worker_seconds: that workers get to end, before they are killed.
            companion_seconds: that the companion gets after them.

        Raises:
            EarlyEnd: the service cannot go on. All processes have ended.
        """
        workers = [asyncio.create_task(self._keep_worker(command)) for command in self._commands]
        companion = asyncio.create_task(self._keep_companion())
        told = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait([told, companion, *workers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            in_time = await self._end_workers(workers, worker_seconds)
            in_time &= await self._end_companion(companion, companion_seconds)
        for task in (*workers, companion):
            if error := task.exception():
                raise error
        return in_time

    async def _keep_worker(self, command: Command) -> None:
        first, deaths = True, deque[float](maxlen=DEATHS)
        while not self._stopping.is_set():
            child = await Child.start(command)
            self._workers.add(child)
            if self._stopping.is_set():
                child.send(signal.SIGTERM)
            became_ready = await self._becomes_ready(command, child)
            how = await child.ended()
            self._workers.discard(child)
            self._forget(child.pid)
            if self._stopping.is_set():
                return
            if first and not became_ready:
                raise EarlyEnd(f"{command.name} ended before it was ready: {how}")
            first = False
            deaths.append(time.monotonic())
            if len(deaths) == DEATHS and deaths[-1] - deaths[0] < DEATHS_SECONDS:
                raise EarlyEnd(f"{command.name} died {DEATHS} times in {DEATHS_SECONDS:g} seconds: {how}")
            logger.error("%s (%d) ended: %s; it is started again", command.name, child.pid, how)

    async def _becomes_ready(self, command: Command, child: Child) -> bool:
        try:
            return await asyncio.wait_for(child.ready(), START_SECONDS)
        except TimeoutError:
            child.send(signal.SIGKILL)
            await child.ended()
            raise EarlyEnd(f"{command.name} was not ready in {START_SECONDS:g} seconds") from None

    async def _keep_companion(self) -> None:
        """One is told to stop only when it is ready, and one that is dead then is started once more: it moves what the
        workers wrote last."""
        stops = asyncio.create_task(self._companion_stops.wait())
        delay, began = BACK_OFF_SECONDS[0], False
        while self._companion_command is not None:
            started = time.monotonic()
            last = stops.done()
            self._companion = await Child.start(self._companion_command)
            began |= await self._companion.ready()
            ended = asyncio.create_task(self._companion.ended())
            await asyncio.wait([ended, stops], return_when=asyncio.FIRST_COMPLETED)
            self._companion.send(signal.SIGTERM)
            how = await ended
            if last or (stops.done() and how == "status 0"):
                return
            if not began and how == "status 1":  # it has said why
                raise EarlyEnd("the companion cannot start")
            delay = BACK_OFF_SECONDS[0] if time.monotonic() - started > YOUNG_SECONDS else delay
            logger.error("the companion ended: %s; it is started again in %g s", how, delay)
            await asyncio.wait([stops], timeout=delay)
            delay = min(2 * delay, BACK_OFF_SECONDS[1])
        await stops

    async def _end_workers(self, keepers: Sequence[asyncio.Task[None]], seconds: float) -> bool:
        self._stopping.set()
        for child in self._workers:
            child.send(signal.SIGTERM)
        if await _all_done(keepers, seconds):
            return True
        logger.error("the workers must end in %g seconds, got none; they are killed", seconds)
        for child in self._workers:
            child.send(signal.SIGKILL)
        await asyncio.wait(keepers)
        return False

    async def _end_companion(self, keeper: asyncio.Task[None], seconds: float) -> bool:
        self._companion_stops.set()
        if await _all_done([keeper], seconds):
            return True
        logger.error("the companion must end in %g seconds, got none; it is killed", seconds)
        self._companion_command = None  # so that none follows it
        if self._companion is not None:
            self._companion.send(signal.SIGKILL)
        await asyncio.wait([keeper])
        return False


async def _all_done(tasks: Sequence[asyncio.Task[None]], seconds: float) -> bool:
    _, others = await asyncio.wait(tasks, timeout=seconds)
    return not others
