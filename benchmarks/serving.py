"""Requests per second and latency of single rows: the service, and bare uvicorn with the same work as its peer.

`metrics_cost` is the share that the metrics take, against the same service with metrics that count nothing
(`benchmarks.serving_silent`). Both take turns, each turn gives a ratio, and the median counts.

    python -m benchmarks.serving --store artifacts/store --public-key secrets/signing.pub

Server and client have a core each (`taskset`). Every subject runs in turn, and the turns are repeated, so that a noisy
machine disturbs all alike; the median turn counts. Writes reports/benchmarks/serving.json.

Absolute numbers belong to the machine; the ratio to the peer travels better, and CPU time a request best of all.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.serving_load import Subject, Turn, drive
from benchmarks.serving_subjects import (
    GRPC_PORT,
    PEER_PORT,
    REST_PORT,
    SILENT_GRPC_PORT,
    SILENT_REST_PORT,
    peer,
    service,
    settle,
    silent_service,
)
from contracts.files import write_json
from contracts.schema import Schema
from contracts.store import load_champion

KINDS = ("rest tensors", "grpc")
REPORT = Path("reports/benchmarks/serving.json")


def bodies(schema: Schema) -> dict[str, bytes]:
    """The example of the schema, as both endpoints take it."""
    row = schema.example()
    numbers, strings = [row[name] for name in schema.numeric_names], [row[name] for name in schema.category_names]
    inputs = [
        {"name": "numeric", "shape": [1, len(numbers)], "datatype": "FP32", "data": numbers},
        {"name": "category", "shape": [1, len(strings)], "datatype": "BYTES", "data": strings},
    ]
    return {"records": json.dumps({"rows": [row]}).encode(), "tensors": json.dumps({"inputs": inputs}).encode()}


Plan = list[tuple[str, Subject, int]]  # label, subject, connections


def measure(store: Path, public_key: Path, turns: int, seconds: int) -> dict[str, Any]:
    """The report, as plain JSON data. `seconds` are of each subject in each turn."""
    with tempfile.TemporaryDirectory() as name:
        found = _beside_the_peer(store, public_key, Path(name), turns, seconds)
    with tempfile.TemporaryDirectory() as name:
        pairs = _with_and_without_metrics(store, public_key, Path(name), 2 * turns, seconds)
    return {
        "what": "single rows; subject, connections; median turn by requests a second",
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
        },
        "model": {"digest": load_champion(store, public_key).digest, "onnx_bytes": _onnx_bytes(store, public_key)},
        "client": "wrk" if shutil.which("wrk") else "benchmarks.serving_client",
        "versions": {name: version(name) for name in ("bentoml", "uvicorn", "onnxruntime", "grpcio", "msgspec")},
        "turns": turns,
        "seconds": seconds,
        "metrics_cost": {kind: _cost(pairs[f"{kind}, 16"], pairs[f"{kind} without metrics, 16"]) for kind in KINDS},
        "subjects": {label: asdict(_median(result)) for label, result in (found | pairs).items()},
    }


def _beside_the_peer(store: Path, public_key: Path, folder: Path, turns: int, seconds: int) -> dict[str, list[Turn]]:
    schema = load_champion(store, public_key).schema
    content, infer = bodies(schema), f"/v2/models/{schema.name}/infer"
    with service(store, public_key, folder) as (pid, token), peer(store, public_key, folder) as peer_pid:
        records = Subject("records", REST_PORT, "/v1/predict", content["records"], pid, token)
        tensors = Subject("tensors", REST_PORT, infer, content["tensors"], pid, token)
        bare = Subject("bare-uvicorn", PEER_PORT, "/", content["records"], peer_pid)
        grpc = Subject("grpc", GRPC_PORT, infer, content["tensors"], pid, token, "grpc")
        plan: Plan = [
            ("rest records", records, 16),
            ("rest tensors", tensors, 16),
            ("bare uvicorn", bare, 16),
            ("rest records", records, 1),
            ("grpc", grpc, 16),
            ("grpc", grpc, 1),
        ]
        return _in_turn(plan, turns, seconds, folder)


def _with_and_without_metrics(
    store: Path, public_key: Path, folder: Path, turns: int, seconds: int
) -> dict[str, list[Turn]]:
    """Two new services that get the same requests, so that their logs grow alike; the writer's work counts, too."""
    schema = load_champion(store, public_key).schema
    body, infer = bodies(schema)["tensors"], f"/v2/models/{schema.name}/infer"
    with (
        service(store, public_key, folder) as (pid, token),
        silent_service(store, public_key, folder) as silent_pid,
    ):
        rest = Subject("tensors", REST_PORT, infer, body, pid, token)
        grpc = Subject("grpc", GRPC_PORT, infer, body, pid, token, "grpc")
        plan: Plan = [
            ("rest tensors", rest, 16),
            ("rest tensors without metrics", replace(rest, port=SILENT_REST_PORT, pid=silent_pid), 16),
            ("grpc", grpc, 16),
            ("grpc without metrics", replace(grpc, port=SILENT_GRPC_PORT, pid=silent_pid), 16),
        ]
        return _in_turn(plan, turns, seconds, folder)


def _in_turn(plan: Plan, turns: int, seconds: int, folder: Path) -> dict[str, list[Turn]]:
    """Forwards and backwards, so that no subject always has the same one before it, whose rows may still be moved."""
    found: dict[str, list[Turn]] = {}
    for turn in range(turns):
        for label, subject, connections in reversed(plan) if turn % 2 else plan:
            found.setdefault(f"{label}, {connections}", []).append(drive(subject, connections, seconds, folder))
            settle()
    return found


def _onnx_bytes(store: Path, public_key: Path) -> int:
    return len(load_champion(store, public_key).model)


def _cost(counted: list[Turn], silent: list[Turn]) -> dict[str, dict[str, float]]:
    """The share that the metrics take, by two measures: of requests a second, and of processor time a request."""
    pairs = list(zip(counted, silent, strict=True))
    return {
        "requests_per_second": _quartiles([1 - on.requests_per_second / off.requests_per_second for on, off in pairs]),
        "cpu": _quartiles([1 - off.cpu_us / on.cpu_us for on, off in pairs]),
    }


def _quartiles(shares: list[float]) -> dict[str, float]:
    names = ("lower_quartile", "median", "upper_quartile")
    return {name: round(cut, 4) for name, cut in zip(names, statistics.quantiles(shares, n=4), strict=True)}


def _median(turns: list[Turn]) -> Turn:
    middle = statistics.median_low(turn.requests_per_second for turn in turns)
    return next(turn for turn in turns if turn.requests_per_second == middle)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--store", type=Path, default=Path("artifacts/store"))
    parser.add_argument("--public-key", type=Path, default=Path("secrets/signing.pub"))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each subject in each turn")
    options = parser.parse_args()
    result = measure(options.store, options.public_key, options.turns, options.seconds)
    write_json(REPORT, result)
    print(f"metrics cost {result['metrics_cost']}")
    for label, turn in result["subjects"].items():
        print(
            f"{label:32} {turn['requests_per_second']:8.0f}/s  p50 {turn['p50_ms']:7.2f} ms  "
            f"p99 {turn['p99_ms']:7.2f} ms  cpu {turn['cpu_us']:6.1f} us  errors {turn['errors']}"
        )


if __name__ == "__main__":
    main()
