"""The one starter of processes, judged by processes that behave and others that do not."""

import socket
import sys
from pathlib import Path

import psutil
import pytest

from contracts.errors import Unavailable
from contracts.settings.ports import check_free
from deploy.local.processes import Program, free_ports, one_running, start, stop, wait_until, wait_until_ready
from tests.support.manifests import ROOT

# It ignores SIGTERM, and so does the child that it starts.
_STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
"""


def test_waiting_ends_with_the_condition_or_with_the_time() -> None:
    answers = iter([0, 0, 7])
    assert wait_until(lambda: next(answers), 10, every=0) == 7
    asked: list[int] = []
    assert wait_until(lambda: asked.append(1), 0.05, every=0.01) is None
    assert len(asked) > 1


def test_it_runs_where_it_is_told_with_the_environment_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    code = "import os; print(os.getcwd(), os.environ.get('ONLY'), 'PATH' in os.environ)"
    program = Program("one", [sys.executable, "-c", code], 1, "/", {"ONLY": "this"})
    assert start(program, tmp_path / "here", tmp_path / "one.log").wait(10) == 0
    assert (tmp_path / "one.log").read_text().split() == [str(tmp_path / "here"), "this", "False"]


def test_one_that_ends_before_it_is_ready_is_named_with_its_last_line(tmp_path: Path) -> None:
    program = Program("one", [sys.executable, "-c", "raise SystemExit('no disk')"], free_ports(1)[0], "/")
    with pytest.raises(Unavailable, match=rf"one must become ready, got: no disk; all of it is in {tmp_path}/one\.log"):
        wait_until_ready(program, start(program, tmp_path, tmp_path / "one.log"), tmp_path / "one.log")


def test_one_that_does_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    process = start(Program("one", [sys.executable, "-c", _STUBBORN], 1, "/"), tmp_path, log)
    assert wait_until(lambda: "up" in log.read_text(), 20)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
    assert len(family) == 2
    assert stop("one", process, 0.2) is False
    assert wait_until(lambda: not [one for one in family if one.is_running() and one.status() != "zombie"], 10)


def test_it_is_ended_when_the_block_fails(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    server = Program("one", [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], port, "/")
    with pytest.raises(ZeroDivisionError), one_running(server, tmp_path, tmp_path) as process:
        raise ZeroDivisionError
    assert process.returncode is not None
    check_free("the_port", "127.0.0.1", port, "--the-port")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_taken_port_is_refused_with_what_to_do(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        told = (
            f"`rest_port` must be a free port of {host}, got {port}: .*; stop what uses it or choose another with --x"
        )
        with pytest.raises(Unavailable, match=told):
            check_free("rest_port", host, port, "--x")


def test_nothing_else_starts_processes_that_stay() -> None:
    rooms = ("benchmarks", "contracts", "demo", "deploy", "monitoring", "pipelines", "registry", "services")
    sources = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    starting = sorted(path.name for path in sources if "Popen(" in path.read_text())
    assert starting == ["processes.py", "runs.py"], "the second one is the monitor's job, which ends by itself"
    allowed = [path for path in sources if path.relative_to(ROOT).parts[0] in ("benchmarks", "demo", "deploy")]
    deadlines = [path.name for path in allowed if "deadline = time.monotonic()" in path.read_text()]
    assert deadlines == ["processes.py"], "who may import deploy waits by wait_until"
