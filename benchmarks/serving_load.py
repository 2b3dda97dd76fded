"""Load on one subject of the serving benchmark, for some seconds, from a core of its own."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

CLIENT_CORE = "1"


@dataclass(frozen=True)
class Turn:
    """One run of one subject. `cpu_us`: processor time of the server a request, its log's writer included."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    errors: int


@dataclass(frozen=True)
class Subject:
    """What is measured: its address, the body it takes, and the process that answers."""

    name: str
    port: int
    path: str
    body: bytes
    pid: int
    token: str = ""
    protocol: Literal["rest", "grpc"] = "rest"


def drive(subject: Subject, connections: int, seconds: int, folder: Path) -> Turn:
    """REST from `wrk`; gRPC, and REST where there is no `wrk`, from our own client."""
    process = psutil.Process(subject.pid)
    before = process.cpu_times()
    load = _wrk if subject.protocol == "rest" and shutil.which("wrk") else _client
    count, rate, p50, p99, errors = load(subject, connections, seconds, folder)
    return Turn(rate, p50, p99, _cpu_us(process, before, count), errors)


def _cpu_us(process: psutil.Process, before: Any, count: int) -> float:
    after = process.cpu_times()
    spent: float = after.user + after.system - before.user - before.system
    return round(spent / max(count, 1) * 1e6, 1)


def _wrk(subject: Subject, connections: int, seconds: int, folder: Path) -> tuple[int, float, float, float, int]:
    script = folder / f"{subject.name}.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [==[{subject.body.decode()}]==]\n'
        f'wrk.headers["Authorization"] = "Bearer {subject.token}"\n'
    )
    url = f"http://127.0.0.1:{subject.port}{subject.path}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    text = subprocess.run(["taskset", "-c", CLIENT_CORE, *command], capture_output=True, text=True, check=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    sockets = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = int(bad[1]) if bad else 0
    errors += sum(map(int, sockets.groups())) if sockets else 0
    return (
        int(_find(r"(\d+) requests in", text)),
        float(_find(r"Requests/sec:\s+([\d.]+)", text)),
        _milliseconds(_find(r"50%\s+([\d.]+\w+)", text)),
        _milliseconds(_find(r"99%\s+([\d.]+\w+)", text)),
        errors,
    )


def _find(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"wrk's output must have {pattern!r}, got:\n{text}")
    return match[1]


def _milliseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    if match is None:
        raise ValueError(f"wrk must give a time, got {text!r}")
    return round(float(match[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[match[2]], 3)


def _client(subject: Subject, connections: int, seconds: int, folder: Path) -> tuple[int, float, float, float, int]:
    body = folder / f"{subject.name}.body"
    body.write_bytes(subject.body)
    where = [subject.protocol, str(subject.port), subject.path]
    arguments = [*where, str(body), subject.token, str(connections), str(seconds)]
    command = ["taskset", "-c", CLIENT_CORE, sys.executable, "-m", "benchmarks.serving_client", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return found["count"], found["rate"], found["p50_ms"], found["p99_ms"], found["errors"]
