"""`windsock serve` under test, as its users start it, and with parts of it taken out."""

import math
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks.subjects.running import SERVER_CORE, Run, Subject, on_cores, python
from contracts.errors import Unavailable
from contracts.settings import ServiceSettings, clean_environment, load, to_environment
from deploy.local.processes import free_ports, wait_until

Part = Literal["log", "metrics", "auth"]
SETTLE_SECONDS: Final = 120.0
_SILENCED: Final = Path(__file__).with_name("silenced")


def program(run: Run, name: str, without: tuple[Part, ...] = (), **more: Any) -> tuple[ServiceSettings, dict[str, str]]:
    """Settings and environment of a service with a state and ports of its own.

    Args:
        without: parts that are taken out, to see what they cost; `silenced/sitecustomize.py` does it.
        more: settings.
    """
    folder = run.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    settings = load(
        ServiceSettings,
        store=run.store.absolute(),
        public_key=run.public_key.absolute(),
        state=folder / "state",
        token_file=folder / "secrets/token",
        tokens_file=folder / "secrets/tokens.json",
        auth="auth" not in without,
        **dict(zip(("rest_port", "grpc_port", "metrics_port"), free_ports(3), strict=True)),
        **more,
    )
    environment = clean_environment() | to_environment(settings)
    if silent := [part for part in without if part != "auth"]:
        path = ":".join(filter(None, (str(_SILENCED), environment.get("PYTHONPATH"))))
        environment |= {"PYTHONPATH": path, "BENCHMARK_WITHOUT": ",".join(silent)}
    return settings, environment


@contextmanager
def windsock(
    run: Run, name: str = "windsock", *, without: tuple[Part, ...] = (), cores: str = SERVER_CORE, **more: Any
) -> Iterator[Subject]:
    """A running service."""
    settings, environment = program(run, name, without, **more)
    command = python("-m", "cli", "serve")
    with on_cores(name, command, settings.rest_port, run.folder, cores=cores, environment=environment) as pid:
        token = settings.token_file.read_text().strip() if settings.auth else ""
        yield Subject(name, pid, settings.rest_port, settings.grpc_port, settings.metrics_port, token)


def settle(subject: Subject) -> float:
    """Wait until the service has moved its rows into the database. Returns how many there were; 0 of a peer.

    Raises:
        Unavailable: it does not come to an end.
    """
    if not subject.metrics_port:
        return 0.0
    rows = unmoved_rows(subject)
    if not wait_until(lambda: not unmoved_rows(subject), SETTLE_SECONDS):
        left = unmoved_rows(subject)
        raise Unavailable(f"{subject.name} must move its rows within {SETTLE_SECONDS:g} s, got {left:g} left")
    return rows


def unmoved_rows(subject: Subject) -> float:
    """Rows in the spool that are not in the database yet.

    Raises:
        Unavailable: for a minute the companion has not said.
    """
    found = wait_until(lambda: _told(series(subject, "windsock_spool_unmoved_rows")), SETTLE_SECONDS)
    if found is None:
        raise Unavailable(f"the companion of {subject.name} must say what waits, got nothing for {SETTLE_SECONDS:g} s")
    return found[0]


def _told(rows: float) -> tuple[float] | None:
    """The number; None: it is NaN, as the companion on its crowded core has said nothing for some seconds."""
    return None if math.isnan(rows) else (rows,)


def moved_rows(subject: Subject) -> float:
    """Rows that came into the database since the start."""
    return series(subject, "windsock_moved_rows_total")


def series(subject: Subject, name: str) -> float:
    """Sum of a metric over its labels; 0 where there is none."""
    with urllib.request.urlopen(f"http://127.0.0.1:{subject.metrics_port}/metrics", timeout=30) as reply:
        text = reply.read().decode()
    values = [line.split()[-1] for line in text.splitlines() if re.match(rf"{name}[ {{]", line)]
    return sum(map(float, values))
