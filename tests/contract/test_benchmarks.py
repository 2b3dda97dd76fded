"""The benchmark of the service: its numbers come from its turns, what is missed is said, its clients count honestly."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.cases.found import Found
from benchmarks.load import turn as load
from benchmarks.load.bodies import write_bodies
from benchmarks.results.goals import GOALS, judge
from benchmarks.results.page import DOCUMENT, PICTURE, fill
from benchmarks.results.picture import draw
from benchmarks.results.report import REPORT, Measure, ServingReport, Turn, measure, ratio
from benchmarks.subjects.running import Subject
from contracts.reports import encode_report, read_report
from contracts.store import load_champion
from deploy.local.processes import free_ports
from tests.support.manifests import ROOT
from tests.support.tiny import write_store


def turn(rate: float, **more: Any) -> Turn:
    usual = {"p50_ms": 1.0, "p99_ms": 2.0, "refused": 0, "errors": 0, "cpu_us": 50.0, "others": 0.0}
    return Turn(requests_per_second=rate, **(usual | more))


def test_a_ratio_is_the_median_of_what_each_turn_gave() -> None:
    turns = {"rest/ours": [turn(300), turn(100), turn(500)], "rest/peer": [turn(100), turn(50), turn(100)]}
    found = ratio("to the peer", turns, "rest/ours", "rest/peer")
    assert (found.value, found.values, found.why) == (3.0, (3.0, 2.0, 5.0), "")
    assert ratio("p99", turns, "rest/ours", "rest/peer", of="p99_ms").value == 1.0


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ([turn(100), turn(100, errors=3)], "rest/ours had 3 errors and 0 refusals"),
        ([turn(100, refused=2), turn(100)], "rest/ours had 0 errors and 2 refusals"),
        ([], "rest/ours was not measured"),
    ],
)
def test_an_error_makes_the_number_invalid(bad: list[Turn], why: str) -> None:
    found = ratio("to the peer", {"rest/ours": bad, "rest/peer": [turn(10), turn(10)]}, "rest/ours", "rest/peer")
    assert (found.value, found.why) == (None, why)
    (target,) = (one for one in judge({"rest_to_fastapi": found}) if one.name == "rest_to_fastapi")
    assert (target.reached, target.measured) == (None, None)
    assert target.said == f"not known: {why}; wanted at least 2 x"


def test_targets_say_whether_and_by_how_much() -> None:
    measures = {
        "rest_to_fastapi": measure("a", "x", [3.0]),
        "grpc_to_mlserver": measure("b", "x", [1.5]),
        "start_to_ready": measure("c", "s", [5.0]),
        "overload_p99": measure("e", "ms", [250.0]),
        "memory_growth": measure("d", "MiB", [4.0]),
    }
    told = {target.name: target for target in judge(measures)}
    assert len(told) == len(GOALS)
    assert told["rest_to_fastapi"].said == "reached by 50%: 3 x, wanted at least 2 x"
    assert told["grpc_to_mlserver"].said == "MISSED by 25%: 1.5 x, wanted at least 2 x"
    assert told["start_to_ready"].said == "MISSED by 100%: 5 s, wanted at most 2.5 s"
    assert told["overload_p99"].said == "MISSED by a factor of 2.5: 250 ms, wanted at most 100 ms"
    assert told["memory_growth"].reached is True
    assert [told[name].reached for name in ("grpc_to_mlserver", "bulk_to_mlserver")] == [False, None]
    assert told["bulk_to_mlserver"].said == "not known: its case did not run; wanted at least 1.6"


def test_every_target_is_a_number_that_a_case_measures() -> None:
    cases = "".join(path.read_text() for path in (ROOT / "benchmarks/cases").glob("*.py"))
    stems = {goal.name: goal.name.removesuffix("_cost").removesuffix("_under_512_connections") for goal in GOALS}
    assert not [name for name, stem in stems.items() if f'"{stem}' not in cases]


def test_subjects_take_turns_forwards_and_backwards() -> None:
    found, order = Found(), list[str]()

    def one(name: str) -> Turn:
        order.append(name)
        return turn(len(order))

    found.take_turns({"x/a": lambda: one("a"), "x/b": lambda: one("b")}, 3)
    assert "".join(order) == "abbaab"
    assert [len(turns) for turns in found.turns.values()] == [3, 3]


def test_the_document_and_the_picture_are_those_of_the_report() -> None:
    report = read_report(ROOT / REPORT, ServingReport)
    assert report.targets == judge(report.ratios | report.figures), "the goals changed: `make bench`"
    document = (ROOT / DOCUMENT).read_text()
    assert document == fill(document, report), "run `python -m benchmarks.results.page`"
    assert (ROOT / PICTURE).read_bytes() == draw(report), "run `python -m benchmarks.results.page`"
    for target in report.targets:
        if target.reached is False:
            assert f"| {target.what} | " in document
    assert document.count("**missed**") == sum(target.reached is False for target in report.targets)


def test_ratios_and_targets_stand_at_the_top() -> None:
    report = read_report(ROOT / REPORT, ServingReport)
    assert list(msgspec.json.decode(encode_report(report)))[:4] == ["format", "mode", "ratios", "targets"]
    assert all(isinstance(one, Measure) for one in report.ratios.values())


def test_bodies_are_the_rows_of_the_models_sample(tmp_path: Path) -> None:
    digest = write_store(tmp_path)
    artifact = load_champion(tmp_path / "store", tmp_path / "signing.pub")
    assert artifact.digest == digest
    bodies = write_bodies(artifact, tmp_path)
    records, tensors = bodies.records.read_text().splitlines(), bodies.tensors.read_text().splitlines()
    assert len(records) == len(tensors) == len(json.loads(bodies.grpc.read_text())) == 4_096
    assert len(set(records)) == len(set(tensors)) == 50, "all rows of the tiny sample"
    assert 16 * 2**20 - 256 < bodies.large.stat().st_size <= 16 * 2**20
    assert len(json.loads(bodies.large.read_text())["rows"]) == 8_192


class Stub:
    """Answers POSTs in turn with these statuses, each after `delay` seconds, one after the other."""

    def __init__(self, statuses: list[int], delay: float) -> None:
        self.bodies: list[bytes] = []
        self._statuses, self._delay, self._lock = statuses, delay, asyncio.Lock()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # the client has what it wanted
            try:
                await self._answer(reader, writer)
            finally:
                writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.bodies.append(await reader.readexactly(length))
            status = self._statuses[len(self.bodies) % len(self._statuses)]
            async with self._lock:
                await asyncio.sleep(self._delay)
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}".encode())


def against(stub: Stub, tmp_path: Path, client: Any) -> Turn:
    """One turn of a client against the stub."""
    (port,) = free_ports(1)
    bodies = tmp_path / "bodies.jsonl"
    bodies.write_text("".join(f'{{"row": {index}}}\n' for index in range(10)))

    async def run() -> Turn:
        async with await asyncio.start_server(stub.serve, "127.0.0.1", port):
            found: Turn = await asyncio.to_thread(client, Subject("stub", os.getpid(), port, token="t"), "/", bodies)  # noqa: S106 - no secret
            await asyncio.sleep(0.1)  # connections that the client closed are closed here, too
            return found

    return asyncio.run(run())


def test_open_loop_counts_the_wait_from_the_arrival_and_tells_refusals(tmp_path: Path) -> None:
    stub = Stub([200, 429], 0.02)  # 50 a second, and 100 arrive
    found = against(stub, tmp_path, lambda stub, path, bodies: load.arrivals(stub, path, bodies, 100, 4, 1))
    assert found.errors == 0
    assert found.refused in (49, 50, 51)
    assert found.offered == pytest.approx(100, rel=0.4)
    assert found.p99_ms is not None
    assert found.p99_ms > 500, "a wait for one of four connections is the server's, too"
    assert len(set(stub.bodies)) == 10


def test_open_loop_counts_what_is_no_answer_as_an_error(tmp_path: Path) -> None:
    found = against(
        Stub([200, 500], 0.0), tmp_path, lambda stub, path, bodies: load.arrivals(stub, path, bodies, 100, 4, 0.5)
    )
    assert found.errors in (24, 25, 26)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="`wrk` must be on PATH: apt install wrk")
def test_closed_loop_sends_rows_that_differ_and_counts_errors(tmp_path: Path) -> None:
    stub = Stub([200, 200, 200, 503], 0.001)
    found = against(stub, tmp_path, lambda stub, path, bodies: load.wrk(stub, path, bodies, 4, 1))
    assert len(set(stub.bodies)) == 10
    assert found.errors > 0
    assert found.requests_per_second == pytest.approx(3 * found.errors, rel=0.2)


def test_parts_that_are_taken_out_are_there_to_be_taken_out() -> None:
    code = (
        "import monitoring.spool.spool as s, monitoring.metrics.counting as c\n"
        "print(s.Spool.append.__module__, c.ProtocolMetrics.ok.__module__)"
    )
    silenced = ROOT / "benchmarks/subjects/silenced"
    expected = {
        "log,metrics": "sitecustomize sitecustomize",
        "": "monitoring.spool.spool monitoring.metrics.counting",
    }
    for without, told in expected.items():
        environment = os.environ | {"PYTHONPATH": f"{silenced}:{ROOT}", "BENCHMARK_WITHOUT": without}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == told
