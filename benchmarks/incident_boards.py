"""Pictures of the dashboards in an incident: the last weeks of a replay, in which scores become those of other rows.

    python -m benchmarks.incident_boards state/demo/predictions.db docs/dashboards

The log is what `make demo` leaves, and is not changed. The monitor looks at each half of a day of its last weeks, one
after the other, while a real Prometheus scrapes it and a service that is asked rows of that time; alerts do not wait
for their `for`, as a day is a quarter of a minute here. Needs Prometheus and Alertmanager.
"""

import asyncio
import itertools
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks.incident_page import DAYS, shuffle
from contracts.errors import Unauthenticated
from contracts.objectives import Objectives
from contracts.settings import clean_environment
from contracts.store import load_champion
from contracts.workspace import Workspace
from demo.clients import GrpcClient, RestClient
from demo.demo_service import Server, serving
from demo.messages import ClientRequest
from demo.replay import read_token
from demo.replayed_rows import Rows, later_months, read_rows
from deploy.local.processes import Program, free_ports, one_running
from deploy.local.stack import Ports, configure, prometheus_program
from monitoring.boards.preview.render import render
from monitoring.boards.rules import texts
from monitoring.monitor import job
from monitoring.watch.models import newest_moment

SHOWN: Final = DAYS + 5  # days, of which the fault has the last ones
STEP: Final = timedelta(hours=12)
SETTLE: Final = 10.0  # seconds, for the first scrapes
PAUSE: Final = 0.1  # seconds between two rows that the service is asked


def main(log: Path, out: Path) -> None:
    """Draw them."""
    workspace = Workspace(Path.cwd())
    champion = load_champion(workspace.store, workspace.public_key)
    schema, (_, month) = champion.schema, later_months(workspace.features, champion.manifest.as_of)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = Path(shutil.copy(log, folder))
        url = f"sqlite:///{copy}"
        last = newest_moment(url, "event")
        shuffle(copy, last - timedelta(days=DAYS))
        rows = read_rows(workspace.features, schema, month, month)
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
                asking(server, rows, workspace, schema.name),
            ):
                time.sleep(SETTLE)
                began = time.time()
                for step in range(int(timedelta(days=SHOWN) / STEP) + 1):
                    look(workspace, url, last - timedelta(days=SHOWN) + step * STEP)
                render(f"http://127.0.0.1:{prometheus}", out, (time.time() - began) / 60)


def look(workspace: Workspace, url: str, now: datetime) -> None:
    """What the monitor says at a moment of the replay."""
    month = f"{now:%Y-%m}"
    job.run(
        workspace.root, url, None, month, month, store=workspace.store, public_key=workspace.public_key, files=False,
        clock="event", now=now,
    )  # fmt: skip


@contextmanager
def asking(server: Server, rows: Rows, workspace: Workspace, name: str) -> Iterator[None]:
    """Ask the service by both protocols until the block ends, and deliver the labels."""
    done = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(ask(server, rows, read_token(workspace.token), name, done)))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


async def ask(server: Server, rows: Rows, token: str | None, name: str, done: threading.Event) -> None:
    """A row a request, one after the other; one in fifty is asked without a token."""
    async with (
        RestClient(server.rest, token, name, connections=1) as rest,
        RestClient(server.rest, None, name, connections=1) as stranger,
        GrpcClient(server.grpc, token, name) as grpc,
    ):
        for number in itertools.count():
            if done.is_set():
                return
            place = number % len(rows)
            numeric, category = rows.numeric[place : place + 1], rows.category[place : place + 1]
            for client in (rest, grpc):
                await client.infer(ClientRequest(f"{client.protocol}-{number}", numeric, category))
            ended = (datetime.now(UTC) - timedelta(minutes=20)).isoformat(timespec="seconds").replace("+00:00", "Z")
            value = bool(rows.label[place] == 1)
            await rest.labels([{"id": f"rest-{number}", "value": value, "outcome_at": ended}])
            if number % 50 == 0:
                with suppress(Unauthenticated):
                    await stranger.infer(ClientRequest(f"no-{number}", numeric, category))
            await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
