"""The one starter of processes on this machine: ports for them, started, waited for, ended."""

import contextlib
import logging
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from contracts.errors import Unavailable

logger = logging.getLogger(__name__)
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 45.0  # the service drains and flushes its spool
_GET: Final = "apt install prometheus prometheus-alertmanager, brew install prometheus, or take them from prometheus.io"
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Program:
    """What is started, and how one sees that it works.

    Args:
        ready: path that answers 200 when the program works, behind `scheme://127.0.0.1:port`.
        environment: all of it; None is this process's.
    """

    name: str
    command: list[str]
    port: int
    ready: str
    environment: dict[str, str] | None = None
    scheme: str = "http"


def find_binary(*names: str) -> str:
    """Path of the first of these that is on PATH.

    Raises:
        Unavailable: none is. Says how to get it.
    """
    path = next((path for name in names if (path := shutil.which(name))), None)
    if path is None:
        raise Unavailable(f"`{names[0]}` must be on PATH, got nothing; {_GET}. `windsock serve` works without")
    return path


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, below those that the kernel lends to outgoing connections: one of
    those may be taken between this look and its use."""
    ports: list[int] = []
    for port in random.SystemRandom().sample(range(20_000, 32_000), 1_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == count:
            break
    return ports


def wait_until(condition: Callable[[], Found], seconds: float, every: float = 0.1) -> Found:
    """Ask until the answer is true, or the time is over. Returns the last answer."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(every)
    return found


def answers(url: str) -> bool:
    """Whether an address of this machine answers 200. Whose certificate it has is not asked: nothing secret is sent."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=5, context=anybody) as answer:  # noqa: S310 - our own loopback
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def one_running(program: Program, root: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in `root` until the block ends; it is ready when the block begins. Output: `folder`/<name>.log.

    Raises:
        Unavailable: it does not become ready.
    """
    log = folder / f"{program.name}.log"
    process = start(program, root, log)
    try:
        wait_until_ready(program, process, log)
        logger.info("%s: ready", program.name)
        yield process
    finally:
        stop(program.name, process)
        logger.info("%s: ended", program.name)


def start(program: Program, root: Path, log: Path, *, session: bool = True) -> subprocess.Popen[bytes]:
    """Start a program in `root`, with its output in `log`.

    Args:
        session: whether it is out of Ctrl-C's reach: who starts several ends them in order.
    """
    with log.open("wb") as output:
        return subprocess.Popen(
            program.command,
            cwd=root,
            env=program.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=session,
        )


def wait_until_ready(program: Program, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the program answers.

    Raises:
        Unavailable: it ended, or does not answer in time. With the last line that it wrote.
    """
    url = f"{program.scheme}://127.0.0.1:{program.port}{program.ready}"
    wait_until(lambda: process.poll() is not None or answers(url), START_SECONDS)
    if process.poll() is not None or not answers(url):
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise Unavailable(f"{program.name} must become ready, got: {last[0]}; all of it is in {log}")


def stop(name: str, process: subprocess.Popen[bytes], seconds: float = STOP_SECONDS) -> bool:
    """SIGTERM, and SIGKILL when that has not ended it. Returns whether it ended by itself."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        logger.warning("%s did not end in %g s: killed", name, seconds)
        _kill(process)
        process.wait()
        return False
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process, and what it started where both are in a session of their own."""
    if os.getpgid(process.pid) == process.pid:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
