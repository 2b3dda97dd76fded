"""What the monitor's counting costs: a million rows of the log at once, and one hour more.

    python -m benchmarks.hours

The champion of this workspace is the yardstick: its reference scorer scores every row. For SQLite, and for PostgreSQL
where its server is installed; requests of one row, and of 1,024; labels for nine rows of ten. Each turn is a process of
its own, whose start does not count. Writes reports/benchmarks/hours.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from msgspec.structs import replace

from benchmarks.log import add, databases, labels, records, tidy
from contracts.files import write_json
from monitoring.log.database import open_log
from monitoring.log.watching import HOURS
from monitoring.spool.frames import Prediction

REPORT: Final = Path("reports/benchmarks/hours.json")
GOAL_SECONDS: Final = 10.0  # for a million rows
GOAL_BYTES: Final = 2 * 1024**3
HOUR_US: Final = 3_600_000_000
# Counts what is new, and says how long it took and how much memory this process had at most.
_COUNT: Final = """
import json, resource, sys, time
from pathlib import Path
from datetime import UTC, datetime, timedelta
from contracts.store import load_champion
from contracts.workspace import Workspace
from monitoring.hours.update import update
from monitoring.hours.yardstick import Yardstick
from monitoring.watch.look import DAYS, hour_of
place = Workspace(Path("."))
yardstick = Yardstick.of(load_champion(place.store, place.public_key))
began, last = time.perf_counter(), hour_of(datetime.now(UTC).replace(tzinfo=None)) + 1
hours = update(sys.argv[1], lambda digest, hour: yardstick, "arrival", last - DAYS * 24, last, timedelta(hours=6))
print(json.dumps({
    "seconds": round(time.perf_counter() - began, 2),
    "hours": hours,
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
"""


def count(url: str) -> dict[str, Any]:
    """In a process of its own."""
    found: dict[str, Any] = json.loads(
        subprocess.run([sys.executable, "-c", _COUNT, url], check=True, stdout=subprocess.PIPE).stdout
    )
    return found


def later(rows: int, each: int) -> Iterator[Prediction]:
    """An hour's rows under ids of their own, which arrive after all others."""
    step = HOUR_US // (rows // each + 1)
    now = time.time_ns() // 1_000
    for number, one in enumerate(records(rows, each)):
        moment = now + number * step
        yield replace(
            one, id=f"{8:016x}{number:08x}", request_id=f"later-{number}", event_us=moment, received_us=moment
        )


def measure(url: str, rows: int, each: int, turns: int) -> dict[str, Any]:
    """One kind of database and of request."""
    engine = open_log(url)
    add(engine, records(rows, each), each)
    add(engine, labels(rows, each), 1)
    tidy(engine)
    all_at_once = []
    for turn in range(turns):
        if turn:
            with engine.begin() as connection:
                connection.execute(sa.delete(HOURS))
        all_at_once.append(count(url))
    nothing = count(url)
    hour = max(1, rows // 72 // each) * each
    add(engine, later(hour, each), each)
    one_more = count(url)
    engine.dispose()
    return {
        "rows_per_request": each,
        "all": all_at_once,
        "nothing_new": nothing,
        "one_hour_more": one_more | {"rows": hour},
        "in_time": sorted(turn["seconds"] for turn in all_at_once)[turns // 2] < GOAL_SECONDS,
        "in_memory": max(turn["peak_bytes"] for turn in all_at_once) < GOAL_BYTES,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        for kind, url in databases(Path(name), held).items():
            found[kind] = [measure(url.format(f"rows_{each}"), given.rows, each, given.turns) for each in (1, 1_024)]
    write_json(REPORT, {"rows": given.rows, "goal_seconds": GOAL_SECONDS, "goal_bytes": GOAL_BYTES, "databases": found})
    for kind, cases in found.items():
        for case in cases:
            seconds = sorted(turn["seconds"] for turn in case["all"])[given.turns // 2]
            peak = max(turn["peak_bytes"] for turn in case["all"]) / 2**20
            print(
                f"{kind}, {case['rows_per_request']} rows a request: {given.rows:,} rows in {seconds} s, {peak:.0f} "
                f"MiB; nothing new {case['nothing_new']['seconds']} s; {case['one_hour_more']['rows']:,} rows more "
                f"{case['one_hour_more']['seconds']} s"
            )
    print(f"-> {REPORT}")


if __name__ == "__main__":
    main()
