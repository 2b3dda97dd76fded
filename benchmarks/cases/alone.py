"""The service by itself: memory, health under load, large bodies, a minute of bulk, and how fast it starts."""

import json
import os
import subprocess
import time
from functools import partial
from typing import Final

import msgspec

from benchmarks.cases.found import Found, say
from benchmarks.cases.peers import CONNECTIONS, RECORDS
from benchmarks.load import turn as load
from benchmarks.load.bodies import BULK_ROWS
from benchmarks.load.probes import health_ms, meanwhile
from benchmarks.results.report import fault, measure, unknown
from benchmarks.subjects.running import ROOT, Run, Subject, memory_mib, python
from benchmarks.subjects.windsock import moved_rows, program, windsock
from deploy.local.processes import Program, answers, start, stop, wait_until

HEALTH: Final = "/v2/health/ready"
CLIENTS: Final = 64


def run(here: Run, found: Found) -> None:
    """One service for all of it, in this order; the start is measured with others."""
    with windsock(here, "alone") as ours:
        if why := load.missing("wrk"):
            found.leave_out("memory and health under load", why)
        else:
            _memory(here, found, ours)
            _health(here, found, ours)
        if why := load.missing("ghz"):
            found.leave_out("a minute of bulk", why)
        else:
            _sustained(here, found, ours)
        _large_bodies(here, found, ours)
    _start(here, found)


def _memory(here: Run, found: Found, ours: Subject) -> None:
    """Before, a tenth of the requests, so that what is kept once is there."""
    count = 10_000 if here.short else 100_000
    what = f"growth of the memory (PSS, all processes) over {count:,} requests of one row"
    rate = load.wrk(ours, RECORDS, here.bodies.records, CONNECTIONS, 2).requests_per_second
    _drive(here, ours, rate, count / 10)
    before = memory_mib(ours.pid)
    errors = _drive(here, ours, rate, count)
    after = memory_mib(ours.pid)
    grown = [after - before]
    found.figures["memory_growth"] = unknown(what, "MiB", f"{errors} errors") if errors else measure(what, "MiB", grown)
    found.figures["memory_serving"] = measure("memory (PSS, all processes) after these requests", "MiB", [after])


def _drive(here: Run, ours: Subject, rate: float, count: float) -> int:
    return load.wrk(ours, RECORDS, here.bodies.records, CONNECTIONS, count / max(rate, 1) + 1).errors


def _health(here: Run, found: Found, ours: Subject) -> None:
    """Readiness and metrics, asked by new connections while 512 are busy: the slowest answer counts."""
    seconds = 2 if here.short else 8
    for name, port, path in (("health", ours.rest_port, HEALTH), ("metrics", ours.metrics_port, "/metrics")):
        key, what = f"{name}_under_512_connections", f"slowest answer of {path} while 512 connections are busy"

        def probe(port: int = port, path: str = path) -> float:
            return health_ms(port, path)

        try:
            turn, times = meanwhile(lambda: load.wrk(ours, RECORDS, here.bodies.records, 512, seconds), probe, 0.1)
        except OSError as error:
            found.figures[key] = unknown(what, "ms", f"{type(error).__name__}: {error}")
            continue
        found.turns.setdefault("rest-512/windsock", []).append(turn)
        say("rest-512/windsock", turn)
        found.figures[key] = msgspec.structs.replace(measure(what, "ms", times), value=round(max(times), 3))


def _sustained(here: Run, found: Found, ours: Subject) -> None:
    """A minute of bulk: what the service has not moved into the database when it ends, in seconds of that load.

    That every row came there in the end is looked at, too: a service that moves nothing leaves nothing either.
    """
    seconds, before = 5 if here.short else 60, moved_rows(ours)
    turn = load.ghz(ours, here.bodies.bulk, 4, seconds)
    say("sustained-bulk/windsock", turn)
    found.turns["sustained-bulk/windsock"] = [turn]
    what = f"rows that wait for the database after {seconds} s of bulk, as seconds of it"
    rows, moved = turn.requests_per_second * BULK_ROWS, moved_rows(ours) - before
    trouble = fault("sustained-bulk/windsock", [turn])
    if not trouble and moved < 0.99 * rows * seconds:  # the rate is rounded, and the last second is not whole
        trouble = f"{rows * seconds:,.0f} rows were answered, and {moved:,.0f} came into the database"
    found.figures["sustained_bulk_unmoved_seconds"] = (
        unknown(what, "s", trouble) if trouble or not rows else measure(what, "s", [turn.unmoved_rows / rows])
    )


def _large_bodies(here: Run, found: Found, ours: Subject) -> None:
    """The most memory that the service takes while 64 clients send 16 MiB each, again and again."""
    seconds, what = 3 if here.short else 15, f"most memory (PSS, all processes) with {CLIENTS} clients that send 16 MiB"
    arguments = [str(ours.rest_port), RECORDS, str(here.bodies.large), ours.token, str(CLIENTS), str(seconds)]
    command = python("-m", "benchmarks.load.probes", *arguments)

    def work() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    told, seen = meanwhile(work, lambda: memory_mib(ours.pid))
    statuses: dict[str, int] = json.loads(told)
    print(f"16 MiB bodies: answers {statuses}, most memory {max(seen):.0f} MiB", flush=True)
    for status, count in statuses.items():
        found.figures[f"large_bodies_{status}"] = measure(f"16 MiB bodies answered with {status}", "", [count])
    if wait_until(lambda: answers(f"http://127.0.0.1:{ours.rest_port}{HEALTH}"), 30):
        found.figures["memory_large_bodies"] = measure(what, "MiB", [max(seen)])
    else:
        found.figures["memory_large_bodies"] = unknown(what, "MiB", "the service is not ready any more")


def _start(here: Run, found: Found) -> None:
    """Seconds from the start of the process to ready, on all cores, as its user starts it."""
    times = []
    for index in range(1 if here.short else 5):
        settings, environment = program(here, f"start-{index}")
        url = f"http://127.0.0.1:{settings.rest_port}{HEALTH}"
        serve = Program(
            "serve",
            ["taskset", "-c", f"0-{(os.cpu_count() or 1) - 1}", *python("-m", "cli", "serve")],
            settings.rest_port,
            HEALTH,
            environment,
        )
        begin = time.monotonic()
        process = start(serve, ROOT, here.folder / f"start-{index}.log")
        try:
            if not wait_until(partial(answers, url), 60, every=0.02):
                found.figures["start_to_ready"] = unknown("start to ready", "s", "it was not ready after 60 s")
                return
            times.append(time.monotonic() - begin)
        finally:
            stop("serve", process)
    found.figures["start_to_ready"] = measure("start to ready", "s", times)
    print(f"start to ready: {', '.join(f'{one:.2f}' for one in times)} s", flush=True)
