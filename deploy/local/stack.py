"""`make stack`: service, Prometheus, Alertmanager, alert receiver and monitor as processes of this machine.

Prometheus and Alertmanager run with the very files of deploy/observability/ that compose and the cluster use; what
differs, the ports, is written beside copies of them under state/stack/. Whatever was started ends with it.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from contracts.files import write_atomic
from contracts.settings import StackSettings, variable
from contracts.settings.ports import check_free
from contracts.settings.tokens import ensure_probe_token, ensure_token
from contracts.workspace import Workspace
from deploy.local.links import link_flags
from deploy.local.processes import Program, find_binary, one_running

logger = logging.getLogger(__name__)
OBSERVABILITY: Final = Path(__file__).parents[1] / "observability"


def _default(name: str) -> int:
    return int(StackSettings.model_fields[f"{name}_port"].default)


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on 127.0.0.1, with the names and the defaults of the settings."""

    rest: int = _default("rest")
    grpc: int = _default("grpc")
    metrics: int = _default("metrics")
    monitor: int = _default("monitor")
    alerts: int = _default("alerts")
    prometheus: int = _default("prometheus")
    alertmanager: int = _default("alertmanager")


# Prometheus' jobs, and the port that each is scraped at.
JOBS: Final = {
    "windsock-service": "metrics",
    "windsock-monitor": "monitor",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
}


def find_binaries() -> tuple[str, str]:
    """Paths of Prometheus and Alertmanager.

    Raises:
        Unavailable: one is not on PATH. Says how to get it.
    """
    # Debian's name is the longer one.
    return find_binary("prometheus"), find_binary("alertmanager", "prometheus-alertmanager")


def check_ports(ports: Ports) -> None:
    """Refuse to start when a port of the stack is taken.

    Raises:
        Unavailable: one is taken. Names it.
    """
    for name, port in asdict(ports).items():
        check_free(f"{name}_port", "127.0.0.1", port, f"--{name}-port")


def configure(
    folder: Path,
    ports: Ports,
    jobs: tuple[str, ...] = tuple(JOBS),
    pace: str = "5s",
    rules: Mapping[str, str] | None = None,
) -> None:
    """Copies of the shared files, and this laptop's targets beside them.

    Args:
        jobs: those that run; the others have no target.
        pace: of scrapes and rules; the files say 5 s.
        rules: file name -> YAML, made from a workspace's objectives; None copies the files of the checkout.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = (OBSERVABILITY / "prometheus.yml").read_text(encoding="utf-8")
    write_atomic(folder / "prometheus.yml", written.replace("_interval: 5s", f"_interval: {pace}").encode())
    if rules is None:
        rules = {path.name: path.read_text(encoding="utf-8") for path in (OBSERVABILITY / "rules").glob("*.yml")}
    for name, text in rules.items():
        write_atomic(folder / "rules" / name, text.encode())
    routes = (OBSERVABILITY / "alertmanager.yml").read_text(encoding="utf-8")
    routes = routes.replace(f"http://alerts:{Ports().alerts}/", f"http://127.0.0.1:{ports.alerts}/")
    write_atomic(folder / "alertmanager.yml", routes.encode())
    for job, name in JOBS.items():
        target = f"- targets: ['127.0.0.1:{getattr(ports, name)}']\n" if job in jobs else "[]\n"
        write_atomic(folder / f"targets/{job}.yml", target.encode())


def programs(folder: Path, ports: Ports, *, probed: bool = False, external_url: str = "") -> list[Program]:
    """The stack's programs, in the order in which they start; they end in the opposite order.

    Args:
        probed: whether the monitor asks the service, with the workspace's token for it.
        external_url: see deploy/local/links.py.
    """
    _, alertmanager = find_binaries()
    ours = [sys.executable, "-m", "cli"]
    asked = {f"WINDSOCK_{name.upper()}_PORT": str(getattr(ports, name)) for name in ("rest", "grpc", "metrics")}
    here = os.environ | {"WINDSOCK_ROOT": "."}  # they are started in the workspace's folder
    probing = {"WINDSOCK_PROBE_URL": f"{_scheme()}://127.0.0.1:{ports.rest}"} if probed else {}
    monitor = [*ours, "monitor", "serve", "--port", str(ports.monitor)]
    watching = here | {"WINDSOCK_METRICS_URL": f"http://127.0.0.1:{ports.metrics}/metrics"} | probing
    watching |= {"WINDSOCK_ALERTS_URL": f"http://127.0.0.1:{ports.alerts}"}
    route = [
        alertmanager,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{ports.alertmanager}",
        "--cluster.listen-address=",  # one instance: no gossip
        *link_flags(external_url, "alertmanager"),
    ]
    return [
        Program("service", [*ours, "serve"], ports.rest, "/v2/health/ready", here | asked, _scheme()),
        Program("monitor", monitor, ports.monitor, "/metrics", watching),
        Program("alerts", [*ours, "alerts", "--port", str(ports.alerts)], ports.alerts, "/healthz", here),
        Program("alertmanager", route, ports.alertmanager, "/-/ready"),
        prometheus_program(folder, ports, external_url),
    ]


def prometheus_program(folder: Path, ports: Ports, external_url: str = "") -> Program:
    command = [
        find_binary("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{ports.prometheus}",
        *link_flags(external_url, "prometheus"),
    ]
    return Program("prometheus", command, ports.prometheus, "/-/ready")


@contextmanager
def running(
    settings: StackSettings, ports: Ports, rules: Mapping[str, str] | None = None
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start all of it, wait until it is ready, and end it on the way out, whatever happens.

    Args:
        rules: as in `configure`.

    Raises:
        Unavailable: a binary or a port cannot be had (nothing was started), or a program does not become ready.
    """
    folder = Workspace(settings.root.resolve()).state / "stack"
    # Without tokens nobody is known as a prober, and the address of a certificate is for people to name.
    probed = settings.auth and settings.tls_certificate is None
    wanted = programs(folder, ports, probed=probed, external_url=settings.external_url)
    check_ports(ports)
    configure(folder, ports, rules=rules)
    if probed:
        ensure_token(settings.token_file, settings.tokens_file)
        ensure_probe_token(settings.probe_token_file, settings.tokens_file)
    with ExitStack() as ends:
        yield {program.name: ends.enter_context(one_running(program, settings.root, folder)) for program in wanted}


def run(settings: StackSettings, ports: Ports, rules: Mapping[str, str] | None = None) -> int:
    """Run the stack. Returns 0 after Ctrl-C or SIGTERM, 1 when a program ended by itself."""
    asked: list[int] = []
    before = {number: signal.signal(number, _note(asked)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with running(settings, ports, rules) as started:
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


def _scheme() -> str:
    """Of the service, which reads the same environment."""
    return "https" if os.environ.get(variable(StackSettings, "tls_certificate")) else "http"


def guide(ports: Ports) -> str:
    at = "http://127.0.0.1"
    return f"""
  service        {_scheme()}://127.0.0.1:{ports.rest}/docs   (gRPC on {ports.grpc}, metrics on {ports.metrics})
  monitor        {at}:{ports.monitor}
  Prometheus     {at}:{ports.prometheus}/targets, /alerts
  Alertmanager   {at}:{ports.alertmanager}
  alerts         tail -f state/stack/alerts.log

  Now `windsock replay --to 2013-07`, `windsock monitor --clock event`, `windsock dashboards render`. The monitor runs
  by itself, too: by arrival, or with WINDSOCK_CLOCK=event by the replay's own clock.
  Ctrl-C ends it all."""
