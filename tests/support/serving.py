"""A real `windsock serve`, as its users start it, for the tests that judge it from outside."""

import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from contracts.settings import LogSettings, clean_environment, load
from contracts.store.state import State
from deploy.local import processes
from deploy.local.processes import Program
from deploy.local.processes import free_ports as free_ports  # for tests that start servers of their own

READY_SECONDS = 60.0


@dataclass(frozen=True)
class Store:
    """A store of released models with one champion, and the keys that belong to it."""

    store: Path
    public_key: Path
    digest: str


@dataclass
class Server:
    """A running `windsock serve`. Addresses are as clients take them."""

    folder: Path
    process: subprocess.Popen[bytes]
    rest: str
    grpc: str
    metrics: str
    state: Path
    token_file: Path
    database_url: str
    output: Path
    ca: Path | None = None  # that its certificate is checked against; None: it speaks plain text

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def token(self) -> str:
        return self.token_file.read_text().strip()

    @property
    def context(self) -> ssl.SSLContext | None:
        return None if self.ca is None else ssl.create_default_context(cafile=self.ca)

    def log(self) -> str:
        return self.output.read_text()

    def ask(
        self,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        token: str | None = "",
        method: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers (lower case) of one HTTP request. `token` "" is the right one, None none."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.rest + path, data, headers or {}, method=method)
        if token is not None:
            request.add_header("Authorization", f"Bearer {token or self.token}")
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.context) as reply:
                return reply.status, reply.read(), {k.lower(): v for k, v in reply.headers.items()}
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), {k.lower(): v for k, v in error.headers.items()}

    def is_ready(self) -> bool:
        try:
            return self.ask("/v2/health/ready", token=None)[0] == 200
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL to every process of the service at once, as a machine that loses it would."""
        for pid in (self.pid, *descendants(self.pid)):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM and the exit status."""
        self.process.terminate()
        return self.process.wait(timeout=60)


def descendants(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    assert processes.wait_until(condition, seconds, every=0.02), f"{what}: not within {seconds:g} s"


def start(folder: Path, store: Store, *, wait: bool = True, **settings: object) -> Server:
    """`windsock serve` as its users start it, in `folder`. `settings` become WINDSOCK_ variables, but for `ca`: the
    path of the authority that signed its certificate."""
    ca = settings.pop("ca", None)
    assert ca is None or isinstance(ca, Path)
    rest, grpc, metrics = free_ports(3)
    state, token_file = folder / "state", folder / "secrets/token"
    values: dict[str, object] = {
        "store": store.store,
        "public_key": store.public_key,
        "state": state,
        "token_file": token_file,
        "rest_port": rest,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "drain_seconds": 0.3,
    } | settings
    environment = clean_environment() | {f"WINDSOCK_{name.upper()}": str(value) for name, value in values.items()}
    output = folder / f"serve-{rest}.log"
    program = Program("serve", [sys.executable, "-m", "cli", "serve"], rest, "/v2/health/ready", environment)
    # In pytest's session: Ctrl-C there ends the services of tests that are under way.
    process = processes.start(program, folder, output, session=False)
    server = Server(
        folder,
        process,
        f"{'http' if ca is None else 'https'}://127.0.0.1:{values['rest_port']}",
        f"127.0.0.1:{values['grpc_port']}",
        f"http://127.0.0.1:{values['metrics_port']}/metrics",
        state,
        token_file,
        load(LogSettings, state=state, database_url=str(values.get("database_url", ""))).database,
        output,
        ca,
    )
    if wait:
        wait_until(
            lambda: server.is_ready() or process.poll() is not None,
            "the service must become ready",
        )
        assert process.poll() is None, server.log()
        if values.get("companion", True):  # it has made the log's tables when it writes this first
            wait_until(State(Path(str(values["state"]))).companion.exists, "the companion must begin")
    return server
