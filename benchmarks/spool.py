"""What the spool costs a request: the frame, the append by each choice of fsync, and the reading end's count.

    python -m benchmarks.spool --folder .

The folder's disk is what is measured: take the one that the service's state will be on. Writes
reports/benchmarks/spool.json. Times are microseconds: `frame_us`, `append_cpu_us` and `reading_us_per_row` of the
processor, the others on the clock. `append_us` and `per_second` are of one caller, `threads_per_second` of eight that
append at once, as the gRPC pool does.
"""

import argparse
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np

from contracts.files import write_json
from monitoring.spool.backlog import Backlog
from monitoring.spool.frames import Prediction, predictions_frame
from monitoring.spool.segments import list_segments, read
from monitoring.spool.spool import Fsync, Spool

REPORT: Final = Path("reports/benchmarks/spool.json")
NUMBERS, STRINGS = 31, 3  # of a row
THREADS: Final = 8
CHECK_SECONDS: Final = 0.5
LIMIT: Final = 2**40


def prediction(name: str, rows: int) -> Prediction:
    """A request with its arrays as the service has them at hand."""
    now = time.time_ns() // 1000
    digest, caller = "d" * 64, "benchmark"
    numeric = np.ones((rows, NUMBERS), "<f4").tobytes()
    category = "\0".join(["ABC"] * (rows * STRINGS)).encode()
    score = np.ones(rows, "<f4").tobytes()
    return Prediction(
        name, name, digest, "champion", digest, "rest", caller, now, now, 100, rows, numeric, category, score
    )


def measure(folder: Path, seconds: float) -> dict[str, Any]:
    """The report, as plain JSON data. `seconds` are of each measure."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        return {
            "what": "microseconds of one frame and one append; eight threads; the reading end a row",
            "machine": {
                "cpu": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "load": os.getloadavg(),
            },
            "frames": {f"{rows} rows": _frame(rows) for rows in (1, 1_024)},
            "appends": {
                f"fsync {fsync}, {rows} rows": _appends(scratch / f"{fsync}{rows}", fsync, rows, seconds)
                for fsync in get_args(Fsync)
                for rows in (1, 1_024)
            },
            "reading_us_per_row": _reading(scratch / "reading"),
        }


def _frame(rows: int) -> dict[str, float]:
    record = prediction("0123456789abcdef-1", rows)
    fields = [getattr(record, name) for name in Prediction.__struct_fields__]

    def make() -> bytes:
        return predictions_frame(Prediction(*fields))

    return {"bytes": len(make()), "frame_us": round(_loop(make, 20_000 // rows + 200), 2)}


def _loop(call: Callable[[], object], count: int, turns: int = 15) -> float:
    """Microseconds of processor time of a call, the best of some turns: what others of the machine do is not its."""
    best = float("inf")
    for _ in range(turns):
        start = time.thread_time()
        for _ in range(count):
            call()
        best = min(best, (time.thread_time() - start) / count)
    return best * 1e6


def _appends(folder: Path, fsync: Fsync, rows: int, seconds: float) -> dict[str, float]:
    data = predictions_frame(prediction("0123456789abcdef-1", rows))
    spool = Spool(folder, LIMIT, fsync)
    with _checked(spool):
        cpu = _loop(lambda: spool.append(data, rows), 2_000 // rows + 20)
        alone = _timed(spool, data, rows, seconds)
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda: counts.append(len(_timed(spool, data, rows, seconds))))
            for _ in range(THREADS)
        ]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent = time.perf_counter() - start
    spool.close()
    for segment in list_segments(folder):  # their pages go, so that the next measure does not wait for them
        segment.path.unlink()
    cuts = statistics.quantiles(alone, n=100)
    return {
        "append_cpu_us": round(cpu, 2),
        "append_us": round(statistics.median(alone) * 1e6, 2),
        "append_p99_us": round(cuts[98] * 1e6, 2),
        "per_second": round(1 / statistics.mean(alone)),
        "threads_per_second": round(sum(counts) / spent),
    }


@contextmanager
def _checked(spool: Spool) -> Iterator[None]:
    """As the worker does: the interval's syncs are its part."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(CHECK_SECONDS):
            spool.check()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _timed(spool: Spool, data: bytes, rows: int, seconds: float) -> list[float]:
    """Seconds of each append."""
    times: list[float] = []
    before = start = time.perf_counter()
    while before - start < seconds:
        spool.append(data, rows)
        now = time.perf_counter()
        times.append(now - before)
        before = now
    return times


def _reading(folder: Path) -> dict[str, float]:
    """Counting by headers, and reading with checksums; neither decodes a payload."""
    rows = 100_000
    spool = Spool(folder, LIMIT)
    data = predictions_frame(prediction("0123456789abcdef-1", 1)) * 100
    for _ in range(rows // 100):
        spool.append(data, 100)
    spool.close()
    segments = list_segments(folder)

    def read_all() -> None:
        for segment in segments:
            offset = 0
            while (chunk := read(segment, offset)).end > offset:
                offset = chunk.end

    return {
        "count": round(_loop(lambda: Backlog().look(segments, {}), 1) / rows, 3),
        "read": round(_loop(read_all, 1) / rows, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path(), help="a scratch folder is made in it")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measure")
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args()
    result = measure(options.folder, options.seconds)
    write_json(options.report, result)
    for label, found in (result["frames"] | result["appends"] | {"reading": result["reading_us_per_row"]}).items():
        print(f"{label:26} " + "  ".join(f"{name} {value:,}" for name, value in found.items()))


if __name__ == "__main__":
    main()
