"""The processes of the serving benchmark, all on one core: the service, the one without counting, and the peer."""

import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from contracts.settings import ServiceSettings, load, to_environment
from deploy.local.processes import Program, one_running, wait_until

SERVER_CORE = "0"
REST_PORT, GRPC_PORT, METRICS_PORT, PEER_PORT = 3900, 3901, 3902, 3903
SILENT_REST_PORT, SILENT_GRPC_PORT, SILENT_METRICS_PORT = 3904, 3905, 3906


@contextmanager
def service(store: Path, public_key: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """`windsock serve` on one core: the pid of its worker, and the token."""
    settings = _settings(store, public_key, folder, "state", (REST_PORT, GRPC_PORT, METRICS_PORT))
    environment = os.environ | to_environment(settings)
    with _running("service", ["-m", "cli", "serve"], environment, REST_PORT, folder) as launcher:
        yield _worker(launcher), settings.token_file.read_text().strip()


@contextmanager
def silent_service(store: Path, public_key: Path, folder: Path) -> Iterator[int]:
    """The service without counting, on the same core and with the same token: the pid of its worker."""
    ports = (SILENT_REST_PORT, SILENT_GRPC_PORT, SILENT_METRICS_PORT)
    settings = _settings(store, public_key, folder, "silent", ports)
    home = {"BENTOML_HOME": str(folder / "silent/bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    name = ("benchmarks.serving_silent:Windsock", "--working-dir", str(Path(__file__).parents[1]))
    arguments = ["-m", "bentoml", "serve", "--quiet", *name, "--host", "127.0.0.1", "--port", str(settings.rest_port)]
    environment = os.environ | to_environment(settings) | home
    with _running("silent service", arguments, environment, settings.rest_port, folder) as parent:
        yield _worker(parent)


def _settings(store: Path, public_key: Path, folder: Path, state: str, ports: tuple[int, int, int]) -> ServiceSettings:
    return load(
        ServiceSettings,
        store=store.absolute(),
        public_key=public_key.absolute(),
        state=folder / state,
        token_file=folder / "token",
        tokens_file=folder / "tokens.json",
        **dict(zip(("rest_port", "grpc_port", "metrics_port"), ports, strict=True)),
    )


def _worker(ancestor: int) -> int:
    children = psutil.Process(ancestor).children(recursive=True)
    return next(child.pid for child in children if "_bentoml_impl.worker.service" in child.cmdline())


@contextmanager
def peer(store: Path, public_key: Path, folder: Path) -> Iterator[int]:
    """Bare uvicorn on the same core: its pid."""
    arguments = ["-m", "benchmarks.serving_peer", str(store), str(public_key), str(PEER_PORT)]
    with _running("peer", arguments, dict(os.environ), PEER_PORT, folder, ready="/") as pid:
        yield pid


@contextmanager
def _running(
    name: str,
    arguments: list[str],
    environment: dict[str, str],
    port: int,
    folder: Path,
    ready: str = "/v2/health/ready",
) -> Iterator[int]:
    """The pid of a program on the servers' core."""
    command = ["taskset", "-c", SERVER_CORE, sys.executable, *arguments]
    with one_running(Program(name, command, port, ready, environment), Path.cwd(), folder) as process:
        yield process.pid


def settle() -> None:
    """Wait until the services that are there have moved their rows: that is work of theirs, on the same core."""
    ports = (METRICS_PORT, SILENT_METRICS_PORT)
    if not wait_until(lambda: not any(_has_rows(port) for port in ports), 120):
        raise RuntimeError("a service must move its rows within 120 s")


def _has_rows(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            return b"\nwindsock_spool_unmoved_rows 0.0" not in reply.read()
    except OSError:
        return False  # there is none
