"""The service that the demo judges: started on free ports, and stopped by its process id whatever happens between."""

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.artifact import MODEL
from contracts.errors import Unavailable
from contracts.settings import LogSettings, clean_environment, load
from contracts.workspace import Workspace
from demo.evidence import Refusal
from deploy.local.processes import START_SECONDS, Program, free_ports, start, stop, wait_until_ready

logger = logging.getLogger(__name__)

STOP_SECONDS: Final = 60


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
def serving(workspace: Workspace, state: Path) -> Iterator[Server]:
    """Serve the workspace's champion until the block ends, then drain it: what was answered is then in the database.

    Raises:
        Unavailable: it does not become ready, or does not end when asked to.
    """
    rest, grpc, metrics = ports = free_ports(3)
    with _started(workspace.root, state, ports, workspace.store) as (program, process, log):
        server = Server(
            process=process,
            rest=f"http://127.0.0.1:{rest}",
            grpc=f"127.0.0.1:{grpc}",
            metrics=f"http://127.0.0.1:{metrics}/metrics",
            token_file=workspace.token,
            database_url=load(LogSettings, state=state.absolute(), database_url="").database,
            log=log,
        )
        wait_until_ready(program, process, log)
        yield server


def refused_start(workspace: Workspace, state: Path, digest: str) -> Refusal:
    """Start a service on a copy of the store with one bit flipped in the model, and see what it does.

    Args:
        digest: of the champion, which the refusal must name.
    """
    store = state / "store"
    shutil.copytree(workspace.store, store)
    model = store / digest / MODEL
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.chmod(0o644)
    model.write_bytes(content)
    with _started(workspace.root, state, free_ports(3), store) as (_, process, log):
        try:
            status: int | None = process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
        return Refusal(status, log.read_text(encoding="utf-8", errors="replace"), named=digest)


@contextmanager
def _started(
    root: Path, state: Path, ports: list[int], store: Path
) -> Iterator[tuple[Program, subprocess.Popen[bytes], Path]]:
    state.mkdir(parents=True, exist_ok=True)
    log = state / "serve.log"
    rest, grpc, metrics = ports
    command = [
        sys.executable, "-m", "cli", "serve",
        f"--rest-port={rest}", f"--grpc-port={grpc}", f"--metrics-port={metrics}",
        f"--store={store.absolute()}", f"--state={state.absolute()}",
    ]  # fmt: skip
    # Settings of the caller are left out, as the demo judges this server. Paths are absolute, as it runs in `root`.
    environment = clean_environment() | {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1"}
    program = Program("the service", command, rest, "/v2/health/ready", environment)
    process = start(program, root, log)
    try:
        yield program, process, log
    finally:
        if not stop("the service", process, STOP_SECONDS):
            raise Unavailable(
                f"the service must end within {STOP_SECONDS} s of SIGTERM, got one that runs on; it was killed, "
                "see its log"
            )
