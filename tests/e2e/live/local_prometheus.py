"""Real Prometheus and Alertmanager for the tests: configured as `make stack` configures them, at a faster pace."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contracts.errors import Unavailable
from deploy.local.links import with_links
from deploy.local.processes import one_running
from deploy.local.stack import OBSERVABILITY, Ports, configure, find_binaries, programs
from tests.support.serving import free_ports

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
def prometheus_running(
    folder: Path,
    at: Ports,
    names: tuple[str, ...] = ("alertmanager", "prometheus"),
    external_url: str = "",
    rules: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Started in this order, answering, and ended afterwards. `rules`: file name -> YAML; None: the checkout's."""
    if rules is None:
        rules = {path.name: path.read_text() for path in (OBSERVABILITY / "rules").glob("*.yml")}
    configure(folder, at, pace=PACE, rules={name: with_links(text, external_url) for name, text in rules.items()})
    wanted = {program.name: program for program in programs(folder, at, external_url=external_url)}
    # The first alert may be evaluated before Alertmanager is found; the next try would come a minute later.
    wanted["prometheus"].command.append(f"--rules.alert.resend-delay={PACE}")
    with contextlib.ExitStack() as ends:
        for name in names:
            ends.enter_context(one_running(wanted[name], OBSERVABILITY.parents[1], folder))
        yield


def fetch(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")
