"""One turn: a client for some seconds, and what it cost the subject."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load.arrivals import MOST_A_SECOND
from benchmarks.results.report import Turn
from benchmarks.subjects.running import Subject, cpu_seconds
from benchmarks.subjects.windsock import settle
from contracts.errors import Unavailable

OVER_ALL = psutil.cpu_count() or 1


def wrk(subject: Subject, path: str, bodies: Path, connections: int, seconds: float) -> Turn:
    """REST, closed loop: each answer brings the next request. Whole seconds, as wrk takes no others."""
    script = str(Path(__file__).with_name("rows.lua"))
    load = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", script]
    url = f"http://127.0.0.1:{subject.rest_port}{path}"
    command = ["wrk", *load, url, "--", str(bodies), *([subject.token] if subject.token else [])]
    return _timed(subject, lambda: json.loads(_output(command).splitlines()[-1]))


def arrivals(subject: Subject, path: str, bodies: Path, rate: float, connections: int, seconds: float) -> Turn:
    """REST, open loop. `rate`: arrivals a second; the client gives `MOST_A_SECOND` at most."""
    where = [str(subject.rest_port), path, str(bodies), subject.token]
    load = [str(min(rate, MOST_A_SECOND)), str(connections), str(seconds)]
    command = [sys.executable, "-m", "benchmarks.load.arrivals", *where, *load]
    return _timed(subject, lambda: json.loads(_output(command)))


def ghz(subject: Subject, bodies: Path, connections: int, seconds: float) -> Turn:
    """gRPC, closed loop."""
    proto = Path(__file__).parents[2] / "services/generated/open_inference.proto"
    command = ["ghz", "--insecure", "--proto", str(proto), "--call", "inference.GRPCInferenceService/ModelInfer"]
    command += ["--data-file", str(bodies)]
    command += ["--connections", str(connections), "--concurrency", str(connections)]
    command += ["--duration", f"{seconds:g}s", "--duration-stop", "wait", "--format", "json"]
    command += ["--metadata", json.dumps({"authorization": f"Bearer {subject.token}"})] if subject.token else []
    return _timed(subject, lambda: _ghz(json.loads(_output([*command, f"127.0.0.1:{subject.grpc_port}"]))))


def alone(command: list[str]) -> Turn:
    """A program that measures itself, with no client: its JSON."""
    return _timed(None, lambda: json.loads(_output(command)))


def missing(*programs: str) -> str:
    """Why a case cannot run; empty when all its programs are there."""
    how = {"wrk": "apt install wrk", "ghz": "github.com/bojand/ghz/releases", "taskset": "apt install util-linux"}
    absent = [program for program in programs if shutil.which(program) is None]
    return "; ".join(f"`{program}` must be on PATH, got nothing; get it with: {how[program]}" for program in absent)


def _output(command: list[str]) -> str:
    """What a client wrote.

    Raises:
        Unavailable: it failed. Its command is not told, as a token stands in it.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"the client `{command[0]}` must end well, got: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def _ghz(found: dict[str, Any]) -> dict[str, Any]:
    statuses: dict[str, int] = found.get("statusCodeDistribution") or {}
    at = {one["percentage"]: one["latency"] / 1e6 for one in found.get("latencyDistribution") or []}
    refused = statuses.get("ResourceExhausted", 0)
    answers = statuses.get("OK", 0)
    return {
        "answers": answers,
        "seconds": found["total"] / 1e9,
        "p50_ms": at.get(50),
        "p99_ms": at.get(99),
        "refused": refused,
        "errors": sum(statuses.values()) - answers - refused,
    }


def _timed(subject: Subject | None, client: Any) -> Turn:
    """Run the client, and wait until the subject has moved its rows: that is work of the same requests."""
    before, all_before, own_before = _cpu(subject), _machine(), _own()
    found = client()
    unmoved = 0.0 if subject is None else settle(subject)
    spent = _cpu(subject) - before
    total, busy = (now - then for now, then in zip(_machine(), all_before, strict=True))
    others = max(0.0, busy - spent - (_own() - own_before)) / max(total, 1e-9)
    answers = found["answers"] - (0 if "refused" in found else found["errors"])
    return Turn(
        requests_per_second=round(answers / found["seconds"], 1),
        p50_ms=_rounded(found["p50_ms"]),
        p99_ms=_rounded(found["p99_ms"]),
        refused=found.get("refused", 0),
        errors=found["errors"],
        cpu_us=round(spent / max(answers, 1) * 1e6, 1),
        others=round(others, 3),
        offered=_rounded(found.get("offered")),
        p99_sent_ms=_rounded(found.get("p99_sent_ms")),
        unmoved_rows=round(unmoved),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _cpu(subject: Subject | None) -> float:
    return 0.0 if subject is None else cpu_seconds(subject.pid)


def _own() -> float:
    """Seconds of this process and of the clients that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _machine() -> tuple[float, float]:
    """Seconds of all cores, in all and busy."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total, total - idle
