"""Real Prometheus and Alertmanager for the tests: configured as `make stack` configures them, at a faster pace."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.errors import Unavailable
from demo.programs import Program
from demo.stack import Ports, configure, find_binaries, programs
from tests.serving import free_ports, wait_until

PACE = "1s"  # of scrapes and rules; the files say 5 s


def missing() -> str:
    """Why the tests cannot run; "" when they can."""
    try:
        find_binaries()
    except Unavailable as error:
        return str(error)
    return ""


def without_monitor() -> str:
    """Why what needs `windsock monitor serve` cannot run; "" when it can."""
    command = [sys.executable, "-m", "cli", "monitor", "serve", "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if "monitor serve" in run.stdout else "`windsock monitor serve` is not there yet"


def ports() -> Ports:
    return Ports(*free_ports(7))


@contextlib.contextmanager
def watching(folder: Path, at: Ports, names: tuple[str, ...] = ("alertmanager", "prometheus")) -> Iterator[None]:
    """Started in this order, answering, and ended afterwards."""
    configure(folder, at, pace=PACE)
    wanted = {program.name: program for program in programs(folder, at)}
    # The first alert may be evaluated before Alertmanager is found; the next try would come a minute later.
    wanted["prometheus"].command.append(f"--rules.alert.resend-delay={PACE}")
    with contextlib.ExitStack() as ends:
        for name in names:
            ends.enter_context(_running(folder, wanted[name]))
        yield


@contextlib.contextmanager
def _running(folder: Path, program: Program) -> Iterator[None]:
    log = folder / f"{program.name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(program.command, stdout=file, stderr=file)
    try:
        address = f"http://127.0.0.1:{program.port}{program.ready}"
        wait_until(lambda: process.poll() is not None or _answers(address), f"{program.name} must become ready")
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def fetch(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")
