"""Tells the database what the workers of this machine have loaded, so that `windsock models` can show it."""

import socket
import time
from typing import Final

import msgspec
import sqlalchemy as sa

from contracts.store.state import ReplicaState, State
from monitoring.log.desired import report_replicas

ALIVE_SECONDS: Final = 5.0  # a worker that lives writes its state each second
FORGET_SECONDS: Final = 60.0  # after which the file of one that does not is removed
REPORT_SECONDS: Final = 1.0


class Replicas:
    """Reports the states of the workers that live, when they change and each second."""

    def __init__(self, engine: sa.Engine, state: State) -> None:
        self._engine, self._state = engine, state
        self._host = socket.gethostname()
        self._reported: dict[str, ReplicaState] = {}
        self._reported_at = 0.0

    def step(self) -> bool:
        """Look at the files of the workers. Returns False: there is never more to do at once.

        Raises:
            Unavailable: the database is away.
        """
        now = time.time()
        living = {}
        for state in self._state.read_replicas():
            # Its process id says nothing: in a pod the workers are in another container.
            age = abs(now - state.at)
            if age < ALIVE_SECONDS:
                living[f"{self._host}/{state.pid}"] = state
            elif age > FORGET_SECONDS:
                (self._state.replicas / f"{state.pid}.json").unlink(missing_ok=True)
        if living and (_differ(living, self._reported) or abs(now - self._reported_at) >= REPORT_SECONDS):
            report_replicas(self._engine, living, int(now * 1e6))
            self._reported, self._reported_at = living, now
        return False


def _differ(one: dict[str, ReplicaState], other: dict[str, ReplicaState]) -> bool:
    """Whether they do in anything but the time."""
    return one.keys() != other.keys() or any(
        msgspec.structs.replace(one[name], at=0.0) != msgspec.structs.replace(other[name], at=0.0) for name in one
    )
