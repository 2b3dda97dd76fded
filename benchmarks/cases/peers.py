"""The service beside its peers, all of them started, one loaded at a time."""

import sys
from contextlib import ExitStack
from functools import partial

from benchmarks.cases.found import Found, Plan
from benchmarks.load import turn as load
from benchmarks.load.bodies import BULK_ROWS
from benchmarks.results.report import Turn, fault, measure, unknown
from benchmarks.subjects.checked import check_answers
from benchmarks.subjects.peers import PROGRAMS, bare, fastapi, mlserver
from benchmarks.subjects.running import SERVER_CORE, Run, Subject
from benchmarks.subjects.windsock import windsock

CONNECTIONS = 16
RECORDS = "/v1/predict"


def run(here: Run, found: Found) -> None:
    """Every case that has a peer in it."""
    with ExitStack() as stack:
        ours, fast, stock, plain = (stack.enter_context(start(here)) for start in (windsock, fastapi, mlserver, bare))
        infer = f"/v2/models/{here.artifact.manifest.name}/infer"
        for subject in (ours, fast, plain):
            check_answers(here, subject, RECORDS, here.bodies.records)
        for subject in (ours, stock):
            check_answers(here, subject, infer, here.bodies.tensors)
        if why := load.missing("wrk"):
            found.leave_out("REST", why, "rest_to_fastapi", "rest_to_mlserver", "rest_p99_to_fastapi")
        else:
            _rest(here, found, ours, fast, stock, plain, infer)
            _open_loop(here, found, ours, fast)
        if why := load.missing("ghz"):
            found.leave_out("gRPC", why, "grpc_to_mlserver", "bulk_to_mlserver", "bulk_to_onnxruntime")
        else:
            _grpc(here, found, ours, stock)


def _rest(here: Run, found: Found, ours: Subject, fast: Subject, stock: Subject, plain: Subject, infer: str) -> None:
    records, tensors = here.bodies.records, here.bodies.tensors

    def turn(subject: Subject, connections: int = CONNECTIONS, v2: bool = False) -> partial[Turn]:
        path, bodies = (infer, tensors) if v2 else (RECORDS, records)
        return partial(load.wrk, subject, path, bodies, connections, here.seconds)

    plan: Plan = {
        "rest-16/windsock": turn(ours),
        "rest-16/fastapi": turn(fast),
        "rest-16/windsock-v2": turn(ours, v2=True),
        "rest-16/mlserver": turn(stock, v2=True),
        "rest-16/bare": turn(plain),
    }
    found.take_turns(plan, here.turns)
    found.ratio(
        "rest_to_fastapi", "REST, one record, 16 connections: to FastAPI", "rest-16/windsock", "rest-16/fastapi"
    )
    found.ratio(
        "rest_to_mlserver",
        "REST, one row as v2 JSON, 16 connections: to MLServer",
        "rest-16/windsock-v2",
        "rest-16/mlserver",
    )
    found.ratio("rest_to_bare", "REST, one record, 16 connections: to bare uvicorn", "rest-16/windsock", "rest-16/bare")
    found.ratio(
        "rest_p99_to_fastapi", "p99 of the same: to FastAPI's", "rest-16/windsock", "rest-16/fastapi", of="p99_ms"
    )
    found.ratio(
        "rest_cpu_to_fastapi",
        "processor time a request: to FastAPI's",
        "rest-16/windsock",
        "rest-16/fastapi",
        of="cpu_us",
    )
    what, label = "REST, one record, 16 connections", "rest-16/windsock"
    trouble = fault(label, found.turns[label])
    rates = [one.requests_per_second for one in found.turns[label]]
    found.figures["rest_requests_per_second"] = unknown(what, "/s", trouble) if trouble else measure(what, "/s", rates)
    others = () if here.short else (1, 64, 256)
    for connections in others:
        name = f"rest-{connections}"
        pair: Plan = {f"{name}/windsock": turn(ours, connections), f"{name}/fastapi": turn(fast, connections)}
        found.take_turns(pair, here.turns)
        found.ratio(
            f"rest_{connections}_to_fastapi",
            f"REST, one record, {connections} connections: to FastAPI",
            f"{name}/windsock",
            f"{name}/fastapi",
        )


def _open_loop(here: Run, found: Found, ours: Subject, fast: Subject) -> None:
    """At 70 % of what each did with 16 connections; then ours at twice its best."""
    records = here.bodies.records

    def turn(subject: Subject, rate: float, connections: int) -> partial[Turn]:
        return partial(load.arrivals, subject, RECORDS, records, rate, connections, here.seconds)

    plan: Plan = {
        f"arrivals-70/{one.name}": turn(one, 0.7 * found.median(f"rest-16/{one.name}"), 256) for one in (ours, fast)
    }
    found.take_turns(plan, here.turns)
    found.ratio(
        "arrivals_p99_to_fastapi",
        "open loop at 70 % of each one's own capacity, p99: to FastAPI's",
        "arrivals-70/windsock",
        "arrivals-70/fastapi",
        of="p99_ms",
    )
    peak = max(found.median(f"rest-{n}/windsock") for n in (16, 64, 256))
    found.take_turns({"overload/windsock": turn(ours, 2 * peak, 512)}, here.turns)
    turns = found.turns["overload/windsock"]
    times = found.turns["overload/windsock"][0].offered or 0.0
    offered = f"open loop at {times / peak:.1f} times the best of closed loop"
    goodput = f"{offered}: answers a second to that best"
    # What arrives beyond the capacity waits in any client that has a bounded number of connections, for ever longer.
    late = f"{offered} over 512 connections: p99 of what is accepted, from its sending"
    if any(one.errors or one.p99_ms is None for one in turns):
        why = f"overload/windsock had {sum(one.errors for one in turns)} requests with errors or without an answer"
        found.ratios["overload_goodput_to_peak"] = unknown(goodput, "x", why)
        found.figures["overload_p99"] = unknown(late, "ms", why)
        return
    found.ratios["overload_goodput_to_peak"] = measure(goodput, "x", [one.requests_per_second / peak for one in turns])
    found.figures["overload_p99"] = measure(late, "ms", [one.p99_sent_ms or 0.0 for one in turns])
    waited = f"{offered}: the same from its arrival, the wait for one of the client's connections included"
    found.figures["overload_p99_from_arrival"] = measure(waited, "ms", [one.p99_ms or 0.0 for one in turns])


def _grpc(here: Run, found: Found, ours: Subject, stock: Subject) -> None:
    one, many = here.bodies.grpc, here.bodies.bulk
    plan: Plan = {
        f"grpc-16/{subject.name}": partial(load.ghz, subject, one, CONNECTIONS, here.seconds)
        for subject in (ours, stock)
    }
    found.take_turns(plan, here.turns)
    found.ratio(
        "grpc_to_mlserver", "gRPC, one row, 16 connections: to MLServer", "grpc-16/windsock", "grpc-16/mlserver"
    )
    alone = ["taskset", "-c", SERVER_CORE, sys.executable, str(PROGRAMS / "onnx_alone.py")]
    alone += [str(here.bodies.model), str(here.bodies.arrays), str(here.seconds)]
    bulk: Plan = {
        f"bulk/{subject.name}": partial(load.ghz, subject, many, 4, here.seconds) for subject in (ours, stock)
    }
    found.take_turns({**bulk, "bulk/onnxruntime": partial(load.alone, alone)}, here.turns)
    what = f"gRPC, {BULK_ROWS:,} rows raw, 4 connections"
    found.ratio("bulk_to_mlserver", f"{what}: to MLServer", "bulk/windsock", "bulk/mlserver")
    found.ratio("bulk_to_onnxruntime", f"{what}: to ONNX Runtime alone", "bulk/windsock", "bulk/onnxruntime")
