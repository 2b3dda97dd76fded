"""What a second worker brings, and what scoring the requests of one turn together does."""

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.cases.found import Found, Plan
from benchmarks.cases.peers import RECORDS
from benchmarks.load import turn as load
from benchmarks.load.bodies import SOME_ROWS
from benchmarks.subjects.running import SERVER_CORE, Run, Subject
from benchmarks.subjects.windsock import windsock

BUSY: Final = 64  # connections
# Settings by name: as it is, one run a request, and half a millisecond's wait for others.
BATCHING: Final[dict[str, dict[str, Any]]] = {
    "together": {},
    "alone": {"batch_rows": 1},
    "wait": {"batch_delay_us": 500},
}


def workers(here: Run, found: Found) -> None:
    """One worker and two on two cores.

    Where there is no third core the client shares the two and takes its part, a fifth of the work of a request of one
    row; of one with `SOME_ROWS` rows hardly any. So these are judged, and single rows stand beside them.
    """
    ratios = ("two_workers_to_one", "two_workers_to_one_single_rows")
    if _left_out(here, found, "two workers", *ratios):
        return
    is_shared = (os.cpu_count() or 1) < 3
    bodies = {"": here.bodies.some, "-single": here.bodies.records}
    with ExitStack() as stack:
        services = {
            count: stack.enter_context(
                windsock(here, f"workers-{count}", cores="0,1" if is_shared else "0,2", workers=count)
            )
            for count in (1, 2)
        }
        for kind, file in bodies.items():
            _take(here, found, f"workers{kind}", {str(count): one for count, one in services.items()}, file, BUSY)
    where = f"{BUSY} connections, two workers on two cores{', which the client shares' if is_shared else ''}: to one"
    for name, kind, rows in zip(ratios, bodies, (f"{SOME_ROWS} rows", "one row"), strict=True):
        found.ratio(name, f"REST, {rows} a request, {where}", f"workers{kind}/2", f"workers{kind}/1")


def batching(here: Run, found: Found) -> None:
    """Requests that are ready together, scored together, beside each alone and beside a wait for more."""
    if _left_out(here, found, "batching"):
        return
    with ExitStack() as stack:
        services = {
            name: stack.enter_context(windsock(here, f"batching-{name}", cores=SERVER_CORE, **settings))
            for name, settings in BATCHING.items()
        }
        for connections in (1, 16, 64, 256):
            case = f"batching-{connections}"
            _take(here, found, case, services, here.bodies.records, connections)
            for other, words in (("alone", "one run a request"), ("wait", "a wait of 500 us")):
                what = f"REST, one record, {connections} connections, rows of a turn together: to {words}"
                found.ratio(f"together_{connections}_to_{other}", what, f"{case}/together", f"{case}/{other}")


def _left_out(here: Run, found: Found, case: str, *ratios: str) -> bool:
    why = load.missing("wrk") or ("left out of a short run" if here.short else "")
    if why:
        found.leave_out(case, why, *ratios)
    return bool(why)


def _take(here: Run, found: Found, case: str, services: dict[str, Subject], bodies: Path, connections: int) -> None:
    plan: Plan = {
        f"{case}/{name}": partial(load.wrk, one, RECORDS, bodies, connections, here.seconds)
        for name, one in services.items()
    }
    found.take_turns(plan, here.turns)
