"""The monitor's runs: one at a time, a crash or a hang is a failed run, and the end is prompt."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from monitoring.metrics.process import ProcessMetrics
from monitoring.monitor import runs
from monitoring.monitor.runs import Runs
from tests.support.serving import wait_until


@contextmanager
def running(script: str, every: float = 0.1) -> Iterator[ProcessMetrics]:
    metrics = ProcessMetrics()
    started = Runs(every, os.environ, metrics, (sys.executable, "-c", script))
    started.start()
    try:
        yield metrics
    finally:
        started.stop()


def count(metrics: ProcessMetrics, outcome: str) -> float:
    line = f'windsock_monitor_runs_total{{outcome="{outcome}"}} '
    return float(generate_latest(metrics.registry).decode().split(line)[1].split()[0])


def test_two_never_run_at_once(tmp_path: Path) -> None:
    """A run that takes longer than the interval delays the next one."""
    mine = tmp_path / "mine"
    script = f"import pathlib, time; p = pathlib.Path({str(mine)!r}); p.mkdir(); time.sleep(0.3); p.rmdir()"
    with running(script) as metrics:
        wait_until(lambda: count(metrics, "ok") >= 3, "it must run again", 20)
        assert count(metrics, "failed") == 0, "a second one could not have made the folder"


def test_one_that_is_killed_is_a_failed_run_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    with running("import os; os.kill(os.getpid(), 9)") as metrics:
        wait_until(lambda: count(metrics, "failed") >= 2, "it must be tried again", 20)
    assert count(metrics, "ok") == 0
    assert "the monitor's run failed: signal SIGKILL; tried again in" in caplog.text


def test_one_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(runs, "LONGEST_SECONDS", 0.5)
    with running("import time; time.sleep(60)") as metrics:
        wait_until(lambda: count(metrics, "failed") >= 1, "it must be ended", 20)
    assert "it took longer than 0.5 s and was ended" in caplog.text


def test_the_end_ends_the_run_that_is_under_way(tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    script = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"try: pathlib.Path({str(begun)!r}).touch(); time.sleep(60)\n"
        f"finally: pathlib.Path({str(ended)!r}).touch()"
    )
    with running(script) as metrics:
        wait_until(begun.exists, "it must begin", 20)
        moment = time.monotonic()
    assert time.monotonic() - moment < 3
    assert ended.exists(), "it was asked, so that it gives back its lease"
    assert count(metrics, "ok") + count(metrics, "failed") == 0, "an end that was asked for is no failure"
