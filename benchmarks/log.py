"""What the prediction log costs: adding rows, and reading a million of them into arrays, with and without labels.

    python -m benchmarks.log

For SQLite, and for PostgreSQL where its server is installed; requests of one row, and of 1,024. Each read is a process
of its own, whose start does not count. Writes reports/benchmarks/log.json; the median turn counts.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from contracts.errors import NotFound
from contracts.files import write_json
from deploy.local.postgres import own_server
from monitoring.log.database import open_log
from monitoring.log.insert import Record, insert
from monitoring.log.schema import DAY_US
from monitoring.log.upkeep.partitions import make_partitions
from monitoring.spool.frames import Label, Prediction
from tasks.flights.schema import SCHEMA

REPORT: Final = Path("reports/benchmarks/log.json")
GOAL_SECONDS: Final = 3.0  # for a million rows
LIBRARIES: Final = ("numpy", "psycopg", "sqlalchemy")
BATCH_ROWS: Final = 10_000  # about what the companion adds at once under load
LABELLED: Final = 9  # of ten rows
# Reads everything, and says how long it took, and what of that was this process's.
_READ: Final = """
import json, resource, sys, time
from datetime import datetime
from monitoring.log.reader import read_predictions
from tasks.flights.schema import SCHEMA
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
began, used = time.perf_counter(), cpu()
found = read_predictions(sys.argv[1], datetime(1980, 1, 1), datetime(2100, 1, 1), SCHEMA)
print(json.dumps({
    "seconds": round(time.perf_counter() - began, 2),
    "cpu_seconds": round(cpu() - used, 2),
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "rows": len(found.score),
    "labelled": int((found.label == found.label).sum()),
}))
"""


def records(rows: int, each: int) -> Iterator[Prediction]:
    """Requests of `each` rows of the flights, spread over three days until now."""
    rng = np.random.default_rng(0)
    wide, names = len(SCHEMA.numeric), len(SCHEMA.category)
    numeric = rng.normal(size=(64, each, wide)).astype("<f4")
    score = rng.random((64, each)).astype("<f4")
    words = np.array([f"{value:03d}" for value in range(300)])
    category = ["\0".join(rng.choice(words, each * names)).encode() for _ in range(64)]
    begin, step = time.time_ns() // 1_000 - 3 * DAY_US, 3 * DAY_US // (rows // each)
    for number in range(rows // each):
        kind, moment = number % 64, begin + number * step
        yield Prediction(
            f"{7:016x}{number:08x}", f"request-{number}", "d" * 64, "champion", SCHEMA.hash, "rest", "demo",
            moment, moment, 400, each, numeric[kind].tobytes(), category[kind], score[kind].tobytes(),
        )  # fmt: skip


def labels(rows: int, each: int) -> Iterator[Label]:
    """One an hour after its row, for nine rows of ten."""
    now = time.time_ns() // 1_000
    for number in range(rows // each * each):
        if number % 10 < LABELLED:
            request, row = divmod(number, each)
            yield Label(f"{number:012x}", f"request-{request}", row, number % 3 == 0, None, now, "demo")


def add(engine: sa.Engine, found: Iterator[Record], rows_each: int) -> dict[str, float]:
    """Insert all. Seconds, and those of this process."""
    seconds = used = 0.0
    size = max(1, BATCH_ROWS // rows_each)
    while True:
        batch: list[Record] = [record for _, record in zip(range(size), found, strict=False)]
        if not batch:
            return {"seconds": round(seconds, 2), "cpu_seconds": round(used, 2)}
        began, cpu = time.perf_counter(), time.process_time()
        if refused := insert(engine, batch):
            raise RuntimeError(f"{len(refused)} records were refused: {refused[0].why}")
        seconds, used = seconds + time.perf_counter() - began, used + time.process_time() - cpu


def read(url: str, turns: int) -> dict[str, Any]:
    """Everything, each turn in a process of its own; the median turn counts."""
    run = [sys.executable, "-c", _READ, url]
    found = [json.loads(subprocess.run(run, check=True, stdout=subprocess.PIPE).stdout) for _ in range(turns)]
    seconds = statistics.median(turn["seconds"] for turn in found)
    return {
        "seconds": seconds,
        "cpu_seconds": statistics.median(turn["cpu_seconds"] for turn in found),
        "in_time": seconds < GOAL_SECONDS,
        "turns": found,
    }


def measure(url: str, rows: int, each: int, turns: int) -> dict[str, Any]:
    """One kind of database and of request."""
    engine = open_log(url)
    added = {"predictions": add(engine, records(rows, each), each)}
    tidy(engine)
    alone = read(url, turns)
    added["labels"] = add(engine, labels(rows, each), 1)
    tidy(engine)
    engine.dispose()
    return {"rows_per_request": each, "added": added, "read": alone, "read_with_labels": read(url, turns)}


def tidy(engine: sa.Engine) -> None:
    """What `windsock log maintain` and PostgreSQL's autovacuum would have done by then."""
    if engine.dialect.name == "postgresql":
        make_partitions(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")


def databases(folder: Path, held: ExitStack) -> dict[str, str]:
    """Kind -> URL with {} for the name of a database, for those that are at hand."""
    urls = {"sqlite": f"sqlite:///{folder}/{{}}.db"}
    try:
        server = held.enter_context(own_server(fsync=True))
    except NotFound as error:
        print(f"without PostgreSQL: {error}")
        return urls
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in ("rows_1", "rows_1024"):
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return urls | {"postgresql": sa.make_url(server).set(database="{}").render_as_string().replace("%7B%7D", "{}")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        for kind, url in databases(Path(name), held).items():
            found[kind] = [measure(url.format(f"rows_{each}"), given.rows, each, given.turns) for each in (1, 1_024)]
    write_json(
        REPORT,
        {
            "what": "the flights' rows added, and read into arrays, alone and with labels of nine of ten; median turn",
            "rows": given.rows,
            "goal_read_seconds": GOAL_SECONDS,
            "databases": found,
            "machine": {
                "cpu": platform.processor() or platform.machine(),
                "cores": len(os.sched_getaffinity(0)),
                "load": os.getloadavg(),
            },
            "versions": {name: version(name) for name in LIBRARIES},
        },
    )
    for kind, cases in found.items():
        for case in cases:
            us = case["added"]["predictions"]["seconds"] / given.rows * 1e6
            print(
                f"{kind}, {case['rows_per_request']} rows a request: added in {us:.2f} us a row, "
                f"{given.rows:,} read in {case['read']['seconds']:.2f} s, with labels in "
                f"{case['read_with_labels']['seconds']:.2f} s"
            )
    print(f"-> {REPORT}; peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
