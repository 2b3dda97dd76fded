"""Rows per second and memory of `windsock score`, as its users start it, on a million real rows in one row group.

    python -m benchmarks.score --store artifacts/store --public-key secrets/signing.pub --features data/features.parquet

The rows are those of the features, repeated. Writes reports/benchmarks/score.json; the median turn counts.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.files import write_json
from contracts.store import load_champion

REPORT: Final = Path("reports/benchmarks/score.json")
LIBRARIES: Final = ("onnxruntime", "pyarrow", "numpy")
# Runs a command, and says how long it took, how much processor time, and the most memory (Linux: in KiB).
_MEASURE: Final = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "seconds": round(time.perf_counter() - started, 2),
    "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
    "peak_bytes": used.ru_maxrss * 1024,
}))
"""


def write_rows(features: Path, target: Path, rows: int) -> None:
    """So many rows of the features, from the first on and again."""
    table = pq.read_table(features)
    repeated = pa.concat_tables([table] * (rows // table.num_rows + 1)).slice(0, rows)
    pq.write_table(repeated.combine_chunks(), target, compression="zstd", row_group_size=rows)


def measure(store: Path, public_key: Path, features: Path, rows: int, turns: int) -> dict[str, Any]:
    """The report, as plain JSON data. `seconds` are of the whole command: its start is in them."""
    artifact = load_champion(store, public_key)
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "rows.parquet"), Path(name, "scores.parquet")
        write_rows(features, source, rows)
        command = [sys.executable, "-m", "cli", "score", "--in", str(source), "--out", str(target), "--keep", "row_id"]
        where = ["--store", str(store.absolute()), "--public-key", str(public_key.absolute())]
        run = [sys.executable, "-c", _MEASURE, *command, *where]
        found = [json.loads(subprocess.run(run, check=True, stdout=subprocess.PIPE).stdout) for _ in range(turns)]
    seconds = statistics.median(turn["seconds"] for turn in found)
    return {
        "what": "windsock score, start and end included; one row group in, one key kept; median turn",
        "rows": rows,
        "seconds": seconds,
        "rows_per_second": round(rows / seconds),
        "peak_bytes": max(turn["peak_bytes"] for turn in found),
        "turns": found,
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg(),
        },
        "model": {"digest": artifact.digest, "onnx_bytes": len(artifact.model)},
        "versions": {name: version(name) for name in LIBRARIES},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path("artifacts/store"))
    parser.add_argument("--public-key", type=Path, default=Path("secrets/signing.pub"))
    parser.add_argument("--features", type=Path, default=Path("data/features.parquet"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    found = measure(given.store, given.public_key, given.features, given.rows, given.turns)
    write_json(REPORT, found)
    print(
        f"{found['rows']:,} rows in {found['seconds']:.1f} s on {found['machine']['cores']} cores, "
        f"{found['peak_bytes'] / 2**20:.0f} MiB -> {REPORT}"
    )


if __name__ == "__main__":
    main()
