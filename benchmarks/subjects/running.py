"""Processes under test, each on the servers' core, and what they take of the machine."""

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.load.bodies import Bodies
from contracts.artifact import Artifact
from contracts.errors import Unavailable
from deploy.local.processes import Program, one_running

SERVER_CORE: Final = "0"
CLIENT_CORE: Final = 1
ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the benchmark: what is served, and how long everything takes.

    Attributes:
        folder: of bodies, logs and states; it goes when the run ends.
        seconds: of each subject in each turn.
    """

    store: Path
    public_key: Path
    artifact: Artifact
    folder: Path
    bodies: Bodies
    turns: int
    seconds: float
    short: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that answers. `pid` is of the process that started the others, if it did; `metrics_port` 0 is none."""

    name: str
    pid: int
    rest_port: int
    grpc_port: int = 0
    metrics_port: int = 0
    token: str = ""


def take_the_client_core() -> None:
    """Keep this process, and the clients that it will start, off the servers' core.

    Raises:
        Unavailable: there are not two cores.
    """
    try:
        os.sched_setaffinity(0, {CLIENT_CORE})
    except (AttributeError, OSError) as error:
        raise Unavailable(
            f"the benchmark must have cores {SERVER_CORE} and {CLIENT_CORE} of Linux, got: {error}; "
            "run it on a machine with two cores or more"
        ) from error


@contextmanager
def on_cores(
    name: str,
    command: list[str],
    port: int,
    folder: Path,
    *,
    ready: str = "/v2/health/ready",
    cores: str = SERVER_CORE,
    environment: dict[str, str] | None = None,
) -> Iterator[int]:
    """The pid of a program that runs on these cores ("0", "0,1") and answers at `ready`."""
    program = Program(name, ["taskset", "-c", cores, *command], port, ready, environment)
    with one_running(program, ROOT, folder) as process:
        yield process.pid


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and all that it started, as far as they live."""
    total = 0.0
    for process in family(pid):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def memory_mib(pid: int) -> float:
    """Memory of a process and all that it started; a page that k of them share counts 1/k in each (PSS)."""
    total = 0.0
    for process in family(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss / 2**20
    return total


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
