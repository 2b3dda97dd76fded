"""What log, metrics and auth cost, and what a second worker brings: the service beside itself."""

import os
from contextlib import ExitStack
from functools import partial

from benchmarks.cases.found import Found, Plan
from benchmarks.cases.peers import CONNECTIONS, RECORDS
from benchmarks.load import turn as load
from benchmarks.results.report import Measure, measure
from benchmarks.subjects.running import Run
from benchmarks.subjects.windsock import Part, windsock

PARTS: tuple[Part, ...] = ("log", "metrics", "auth")


def parts(here: Run, found: Found) -> None:
    """Each part's share of the requests a second, and that of all three. Every service gets the same load."""
    if why := load.missing("wrk"):
        found.leave_out("log, metrics, auth", why)
        return
    without: dict[str, tuple[Part, ...]] = {"all": (), "none": PARTS}
    without |= {} if here.short else {f"no-{part}": (part,) for part in PARTS}
    with ExitStack() as stack:
        services = {
            name: stack.enter_context(windsock(here, f"with-{name}", without=taken)) for name, taken in without.items()
        }
        plan: Plan = {
            f"parts/{name}": partial(load.wrk, one, RECORDS, here.bodies.records, CONNECTIONS, here.seconds)
            for name, one in services.items()
        }
        found.take_turns(plan, here.turns)
    for name in list(without)[1:]:
        part = "log_metrics_auth" if name == "none" else name.removeprefix("no-")
        what = f"share of the requests a second that {part.replace('_', ', ')} take"
        found.ratio(f"{part}_cost", what, "parts/all", f"parts/{name}")
        found.ratios[f"{part}_cost"] = _share(found.ratios[f"{part}_cost"])


def _share(ratio: Measure) -> Measure:
    """With / without, as the share that is lost."""
    if ratio.value is None:
        return Measure(ratio.what, "", None, (), ratio.why)
    return measure(ratio.what, "", [1 - value for value in ratio.values])


def workers(here: Run, found: Found) -> None:
    """One worker and two on two cores. Where there is no third core, the client shares them, and takes its part."""
    name = "two workers"
    if why := load.missing("wrk") or ("" if not here.short else "left out of a short run"):
        found.leave_out(name, why, "two_workers_to_one")
        return
    cores = "0,1" if (os.cpu_count() or 1) < 3 else "0,2"
    with ExitStack() as stack:
        services = {
            count: stack.enter_context(windsock(here, f"workers-{count}", cores=cores, workers=count))
            for count in (1, 2)
        }
        plan: Plan = {
            f"workers/{count}": partial(load.wrk, one, RECORDS, here.bodies.records, 64, here.seconds)
            for count, one in services.items()
        }
        found.take_turns(plan, here.turns)
    shared = "; the client shares the two cores" if cores == "0,1" else ""
    found.ratio(
        "two_workers_to_one", f"REST, one record, 64 connections, two workers: to one{shared}", "workers/2", "workers/1"
    )
    found.ratio(
        "two_workers_cpu_to_one",
        "processor time a request with two workers: to one",
        "workers/2",
        "workers/1",
        of="cpu_us",
    )
