"""`make stack`: service, Prometheus, Alertmanager, alert receiver and monitor as processes of this machine.

Prometheus and Alertmanager run with the very files of monitoring/ that compose and the cluster use; what differs, the
ports, is written beside copies of them under state/stack/. Whatever was started ends with it.
"""

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from contracts.errors import Unavailable
from contracts.files import write_atomic

logger = logging.getLogger(__name__)
MONITORING: Final = Path(__file__).parents[1] / "monitoring"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 45.0  # the service drains and flushes its spool
_GET: Final = "apt install prometheus prometheus-alertmanager, brew install prometheus, or take them from prometheus.io"


@dataclass(frozen=True, slots=True)
class Ports:
    rest: int = 3000
    grpc: int = 3001
    metrics: int = 3002
    monitor: int = 3003
    alerts: int = 3004
    prometheus: int = 9090
    alertmanager: int = 9093


@dataclass(frozen=True, slots=True)
class Program:
    """`ready`: path that answers 200 when it works, behind `http://127.0.0.1:port`."""

    name: str
    command: list[str]
    port: int
    ready: str
    environment: dict[str, str]


def find_binaries() -> tuple[str, str]:
    """Prometheus and Alertmanager.

    Raises:
        Unavailable: one is not on PATH. Says how to get it.
    """
    found = []
    for names in (("prometheus",), ("alertmanager", "prometheus-alertmanager")):  # Debian's name is the longer one
        path = next((path for name in names if (path := shutil.which(name))), None)
        if path is None:
            raise Unavailable(f"`{names[0]}` must be on PATH, got nothing; {_GET}. `windsock serve` works without")
        found.append(path)
    return found[0], found[1]


def check_ports(ports: Ports) -> None:
    """
    Raises:
        Unavailable: one is taken. Names it.
    """
    for name, port in asdict(ports).items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise Unavailable(
                    f"port {port} ({name}) must be free, got: {error.strerror}; stop what uses it, "
                    f"or choose another with --{name}-port"
                ) from error


def configure(folder: Path, ports: Ports) -> None:
    """Copies of the shared files, and this laptop's targets beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(MONITORING / "prometheus.yml", folder)
    for rules in sorted((MONITORING / "rules").glob("*.yml")):
        write_atomic(folder / "rules" / rules.name, rules.read_bytes())
    routes = (MONITORING / "alertmanager.yml").read_text(encoding="utf-8")
    routes = routes.replace(f"127.0.0.1:{Ports().alerts}/", f"127.0.0.1:{ports.alerts}/")
    write_atomic(folder / "alertmanager.yml", routes.encode())
    jobs = {
        "windsock-service": ports.metrics,
        "windsock-monitor": ports.monitor,
        "prometheus": ports.prometheus,
        "alertmanager": ports.alertmanager,
    }
    for job, port in jobs.items():
        write_atomic(folder / f"targets/{job}.yml", f"- targets: ['127.0.0.1:{port}']\n".encode())


def programs(folder: Path, ports: Ports) -> list[Program]:
    """In the order in which they start. They end in the other."""
    prometheus, alertmanager = find_binaries()
    ours = [sys.executable, "-m", "cli"]
    asked = {f"WINDSOCK_{name.upper()}_PORT": str(getattr(ports, name)) for name in ("rest", "grpc", "metrics")}
    monitor = [*ours, "monitor", "serve", "--port", str(ports.monitor)]
    scrape = [
        prometheus,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{ports.prometheus}",
    ]
    route = [
        alertmanager,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{ports.alertmanager}",
        "--cluster.listen-address=",  # one instance: no gossip
    ]
    return [
        Program("service", [*ours, "serve"], ports.rest, "/v2/health/ready", asked),
        Program("monitor", monitor, ports.monitor, "/metrics", {}),
        Program("alerts", [*ours, "alerts", "--port", str(ports.alerts)], ports.alerts, "/", {}),
        Program("alertmanager", route, ports.alertmanager, "/-/ready", {}),
        Program("prometheus", scrape, ports.prometheus, "/-/ready", {}),
    ]


@contextmanager
def running(root: Path, ports: Ports) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """All of it, ready; ended on the way out, whatever happens.

    Raises:
        Unavailable: a binary or a port cannot be had (nothing was started), or a program does not become ready.
    """
    folder = root.resolve() / "state/stack"
    wanted = programs(folder, ports)
    check_ports(ports)
    configure(folder, ports)
    started: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as ends:
        for program in wanted:
            started[program.name] = _start(program, root, folder)
            ends.callback(_stop, program.name, started[program.name])
            _wait(program, started[program.name], folder)
        yield started


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


def run(root: Path, ports: Ports) -> int:
    """Until Ctrl-C or SIGTERM (0), or until one of them ends by itself (1)."""
    asked: list[int] = []
    before = {number: signal.signal(number, _note(asked)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with running(root, ports) as started:
            logger.info("%s", guide(ports))
            while not asked:
                for name, process in started.items():
                    if process.poll() is not None:
                        logger.error("%s ended with status %d: state/stack/%s.log", name, process.returncode, name)
                        return 1
                time.sleep(0.2)
        return 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _note(asked: list[int]) -> Callable[[int, object], None]:
    def handler(number: int, frame: object) -> None:
        del frame
        asked.append(number)

    return handler


def guide(ports: Ports) -> str:
    at = "http://127.0.0.1"
    return f"""
  service        {at}:{ports.rest}/docs   (gRPC on {ports.grpc}, metrics on {ports.metrics})
  monitor        {at}:{ports.monitor}
  Prometheus     {at}:{ports.prometheus}/targets, /alerts
  Alertmanager   {at}:{ports.alertmanager}
  alerts         tail -f state/stack/alerts.log

  Now `windsock replay --to 2013-07`, then `windsock monitor`, then `windsock dashboards render`. Ctrl-C ends it all."""
