"""Pictures of the dashboards in an incident: the last weeks of a replay, in which scores become those of other rows.

    python -m benchmarks.incident_boards state/demo/predictions.db docs/dashboards

The log is what `make demo` leaves, and is not changed. The monitor looks at each third of a day of its last weeks, one
after the other, while a real Prometheus scrapes it and a service that is asked the same days' rows; alerts do not wait
for their `for`, as a day is some seconds here. Needs Prometheus and Alertmanager.
"""

import asyncio
import re
import shutil
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks.incident_page import DAYS, shuffle
from contracts.objectives import Objectives
from contracts.settings import clean_environment
from contracts.store import load_champion
from contracts.workspace import Workspace
from demo.clients import GrpcClient, RestClient
from demo.demo_service import Server, serving
from demo.messages import ClientRequest
from demo.replay import read_token
from demo.replayed_rows import Rows, read_rows
from deploy.local.processes import Program, free_ports, one_running
from deploy.local.stack import Ports, configure, prometheus_program
from monitoring.boards.preview.render import render
from monitoring.boards.rules import texts
from monitoring.monitor import job
from monitoring.watch.models import newest_moment

SHOWN: Final = 2 * DAYS  # days, of which the fault has the second half
STEP: Final = timedelta(hours=8)
SECONDS: Final = 4.0  # of a step, at least: some scrapes
ROWS: Final = 60  # that the service is asked in a step, by each protocol


def main(log: Path, out: Path) -> None:
    """Draw them."""
    workspace = Workspace(Path.cwd())
    schema = load_champion(workspace.store, workspace.public_key).schema
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = Path(shutil.copy(log, folder))
        url = f"sqlite:///{copy}"
        last = newest_moment(url, "event")
        shuffle(copy, last - timedelta(days=DAYS))
        rows = read_rows(workspace.features, schema, f"{last:%Y-%m}", f"{last:%Y-%m}")
        with serving(workspace, folder / "service") as server:
            monitor, prometheus = free_ports(2)
            ports = Ports(metrics=urlsplit(server.metrics).port or 0, monitor=monitor, prometheus=prometheus)
            rules = {
                file: re.sub(r"\n +keep_firing_for: .*", "", re.sub(r"( for:) .*", r"\1 0s", text))
                for file, text in texts(Objectives()).items()
            }
            jobs = ("windsock-service", "windsock-monitor", "prometheus")
            configure(folder / "prometheus", ports, jobs=jobs, pace="1s", rules=rules)
            look(workspace, url, last - timedelta(days=SHOWN))
            command = [sys.executable, "-m", "cli", "monitor", "serve", "--every", "0", "--port", str(monitor)]
            command += ["--database", url, "--root", str(workspace.root.absolute())]
            shown = Program("monitor", command, monitor, "/metrics", clean_environment())
            with (
                one_running(shown, workspace.root, folder),
                one_running(prometheus_program(folder / "prometheus", ports), folder, folder),
            ):
                began = time.time()
                for step in range(int(timedelta(days=SHOWN) / STEP) + 1):
                    pace(workspace, url, server, rows, last - timedelta(days=SHOWN) + step * STEP, step)
                render(f"http://127.0.0.1:{prometheus}", out, (time.time() - began) / 60)


def pace(workspace: Workspace, url: str, server: Server, rows: Rows, moment: datetime, step: int) -> None:
    """One look of the monitor, and requests meanwhile."""
    began = time.monotonic()
    asyncio.run(ask(server, rows, workspace, step))
    look(workspace, url, moment)
    time.sleep(max(0.0, SECONDS - (time.monotonic() - began)))


def look(workspace: Workspace, url: str, now: datetime) -> None:
    """What the monitor says at a moment of the replay."""
    month = f"{now:%Y-%m}"
    where = {"store": workspace.store, "public_key": workspace.public_key}
    job.run(workspace.root, url, None, month, month, files=False, clock="event", now=now, **where)


async def ask(server: Server, rows: Rows, workspace: Workspace, step: int) -> None:
    """Some of the rows, one a request, by both protocols."""
    token, name = read_token(workspace.token), load_champion(workspace.store, workspace.public_key).schema.name
    async with (
        RestClient(server.rest, token, name, connections=1) as rest,
        GrpcClient(server.grpc, token, name) as grpc,
    ):
        for number in range(ROWS):
            for client in (rest, grpc):
                place = (step * ROWS + number) % len(rows)
                one = slice(place, place + 1)
                await client.infer(
                    ClientRequest(f"{client.protocol}-{step}-{number}", rows.numeric[one], rows.category[one])
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
