"""A process of the service, as the launcher sees it: started, ready, ended."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from contracts.settings import ServiceSettings, variable

_PROJECT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Command:
    """What to start.

    Attributes:
        name: as people read it in the log.
        environment: all of it; the lifeline is added.
        listener: gives each process its socket, which `--fd` tells it; None: it gets none.
        nice: how far it stands back for others, 0 to 19.
    """

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    listener: Callable[[], socket.socket] | None = None
    nice: int = 0


class Child:
    """A running process, and the launcher's end of its lifeline (contracts/settings/lifeline.py)."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.pid = process.pid
        self._process, self._reader, self._writer = process, reader, writer

    @classmethod
    async def start(cls, command: Command) -> Self:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        with ExitStack() as stack:
            stack.enter_context(theirs)
            listener = command.listener and stack.enter_context(command.listener())
            told = ("--fd", str(listener.fileno())) if listener else ()
            process = await asyncio.create_subprocess_exec(
                *command.arguments,
                *told,
                env=command.environment | {variable(ServiceSettings, "lifeline"): str(theirs.fileno())},
                cwd=_PROJECT,  # where `python -m` finds our packages
                pass_fds=[each.fileno() for each in (theirs, listener) if each],
                # Ctrl-C reaches the launcher alone, which passes it on once. A session of its own would do that, too,
                # but Linux weighs sessions against each other (autogroup), and `nice` only within one.
                process_group=0,
            )
        if command.nice > os.getpriority(os.PRIO_PROCESS, 0):  # nobody but root may take a niceness back
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, process.pid, command.nice)
        return cls(process, reader, writer)

    async def ready(self) -> bool:
        """Wait until the process says that it is. False: it ended before."""
        return bool(await self._reader.readline())

    async def ended(self) -> str:
        """Wait for the end. Returns how it was, as people read it."""
        status = await self._process.wait()
        self._writer.close()
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
