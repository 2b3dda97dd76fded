"""One program of this machine: found, started, waited for, ended."""

import logging
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.errors import Unavailable

logger = logging.getLogger(__name__)
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 45.0  # the service drains and flushes its spool
_GET: Final = "apt install prometheus prometheus-alertmanager, brew install prometheus, or take them from prometheus.io"


@dataclass(frozen=True, slots=True)
class Program:
    """`ready`: path that answers 200 when it works, behind `http://127.0.0.1:port`."""

    name: str
    command: list[str]
    port: int
    ready: str
    environment: dict[str, str]


def find_binary(*names: str) -> str:
    path = next((path for name in names if (path := shutil.which(name))), None)
    if path is None:
        raise Unavailable(f"`{names[0]}` must be on PATH, got nothing; {_GET}. `windsock serve` works without")
    return path


@contextmanager
def one_running(program: Program, root: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Ready, and ended on the way out. Its output is in `folder`/<name>.log.

    Raises:
        Unavailable: it does not become ready.
    """
    process = _start(program, root, folder)
    try:
        _wait(program, process, folder)
        yield process
    finally:
        _stop(program.name, process)


def _start(program: Program, root: Path, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / f"{program.name}.log").open("wb") as log:
        return subprocess.Popen(
            program.command,
            cwd=root,
            env=os.environ | program.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end them in order
        )


def _wait(program: Program, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(f"http://127.0.0.1:{program.port}{program.ready}"):
        if process.poll() is not None or time.monotonic() > deadline:
            log = folder / f"{program.name}.log"
            last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise Unavailable(f"{program.name} must become ready, got: {last[0]}; all of it is in {log}")
        time.sleep(0.1)
    logger.info("%s: ready", program.name)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback
            return bool(answer.status == 200)
    except OSError:
        return False


def _stop(name: str, process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        logger.warning("%s did not end in %g s: killed", name, STOP_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    logger.info("%s: ended", name)
