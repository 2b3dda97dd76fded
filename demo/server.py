"""A `windsock serve` of our own: started on free ports, stopped by its process id, whatever happens between."""

import contextlib
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.artifact import MODEL
from contracts.errors import Unavailable
from demo.evidence import Refusal

logger = logging.getLogger(__name__)

START_SECONDS: Final = 60
STOP_SECONDS: Final = 60
POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """A running service. `log` is where its output goes."""

    process: subprocess.Popen[bytes]
    rest: str
    grpc: str
    metrics: str
    token_file: Path
    database_url: str
    log: Path


@contextmanager
def serving(root: Path, state: Path) -> Iterator[Server]:
    """Serve the champion of `root` until the block ends, then drain it: what was answered is then in the database.

    Raises:
        Unavailable: it does not become ready, or does not end when asked to.
    """
    rest, grpc, metrics = ports = free_ports(3)
    with _start(root, state, ports, root / "artifacts/store") as (process, log):
        server = Server(
            process=process,
            rest=f"http://127.0.0.1:{rest}",
            grpc=f"127.0.0.1:{grpc}",
            metrics=f"http://127.0.0.1:{metrics}/metrics",
            token_file=root / "secrets/token",
            database_url=f"sqlite:///{(state / 'predictions.db').absolute()}",
            log=log,
        )
        _wait_until_ready(server)
        yield server


def refused_start(root: Path, state: Path, digest: str) -> Refusal:
    """Start a service on a copy of the store with one bit flipped in the model, and see what it does.

    Args:
        digest: of the champion, which the refusal must name.
    """
    store = state / "store"
    shutil.copytree(root / "artifacts/store", store)
    model = store / digest / MODEL
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.chmod(0o644)
    model.write_bytes(content)
    with _start(root, state, free_ports(3), store) as (process, log):
        try:
            status: int | None = process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
        return Refusal(status, log.read_text(encoding="utf-8", errors="replace"), named=digest)


@contextmanager
def _start(root: Path, state: Path, ports: list[int], store: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    state.mkdir(parents=True, exist_ok=True)
    log = state / "serve.log"
    # Nothing of the caller's own settings: the demo judges this server. Absolute paths: it runs in `root`.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WINDSOCK_")}
    environment |= {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1"}
    rest, grpc, metrics = ports
    command = [
        sys.executable, "-m", "cli", "serve",
        f"--rest-port={rest}", f"--grpc-port={grpc}", f"--metrics-port={metrics}",
        f"--store={store.absolute()}", f"--state={state.absolute()}",
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process, log
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.wait()
        raise Unavailable(
            f"the service must end within {STOP_SECONDS} s of SIGTERM, got one that runs on; it was killed, see its log"
        ) from error


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{server.rest}/v2/health/ready", timeout=2) as answer:  # noqa: S310 - our own
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(POLL_SECONDS)
    tail = server.log.read_text(encoding="utf-8", errors="replace")[-2_000:]
    raise Unavailable(f"the service must be ready within {START_SECONDS} s, got:\n{tail}\nsee `{server.log}`")


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
