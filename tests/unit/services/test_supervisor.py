"""The supervisor with small real processes in the place of workers and companion."""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from services.process import supervisor
from services.process.child import Command
from services.process.supervisor import EarlyEnd, Supervisor

READY = "import os, signal, sys, time; os.write(int(os.environ['WINDSOCK_LIFELINE']), b'ready\\n'); "
RUNS = READY + "time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {RUNS}"


def command(name: str, code: str) -> Command:
    return Command(name, (sys.executable, "-c", code), dict(os.environ))


def supervise(
    worker: str, companion: str | None = None, *, until: Callable[[], bool] = lambda: True, seconds: float = 20
) -> bool:
    """Run the two until something is true, and end them."""

    async def run() -> bool:
        asked = asyncio.Event()
        both = Supervisor(
            [command("worker 1", worker)],
            None if companion is None else command("companion", companion),
            lambda _: None,
        )
        running = asyncio.create_task(both.run(asked, seconds, seconds))
        while not until() and not running.done():
            await asyncio.sleep(0.02)
        asked.set()
        return await running

    return asyncio.run(run())


def test_a_worker_that_does_not_become_ready_ends_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "START_SECONDS", 0.5)
    with pytest.raises(EarlyEnd, match=re.escape("worker 1 was not ready in 0.5 seconds")):
        supervise("import time; time.sleep(600)", until=lambda: False)


def test_a_worker_that_ends_before_it_was_ready_ends_the_service() -> None:
    with pytest.raises(EarlyEnd, match="worker 1 ended before it was ready: status 3"):
        supervise("raise SystemExit(3)", until=lambda: False)


def test_a_companion_that_refuses_at_first_ends_the_service_and_one_that_has_begun_does_not(tmp_path: Path) -> None:
    with pytest.raises(EarlyEnd, match="the companion cannot start"):
        supervise(RUNS, "raise SystemExit(1)", until=lambda: False)
    begun = tmp_path / "begun"
    code = f"open({str(begun)!r}, 'a').write('x'); {READY} raise SystemExit(1)"
    assert supervise(RUNS, code, until=lambda: begun.exists() and len(begun.read_text()) == 2)
    assert len(begun.read_text()) == 3, "and one more at the end, for what the workers wrote last"


def test_a_companion_that_dies_young_waits_longer_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF_SECONDS", (0.2, 0.5))
    begun = tmp_path / "begun"
    code = f"{READY} print(time.monotonic(), file=open({str(begun)!r}, 'a')); os.kill(os.getpid(), signal.SIGKILL)"
    assert supervise(RUNS, code, until=lambda: begun.exists() and len(begun.read_text().split()) >= 5)
    starts = [float(moment) for moment in begun.read_text().split()]
    gaps = [later - earlier for earlier, later in pairwise(starts[:4])]
    assert [gap >= least for gap, least in zip(gaps, (0.2, 0.4, 0.5), strict=True)] == [True, True, True], gaps


@pytest.mark.parametrize("who", ["worker", "companion"])
def test_a_process_that_does_not_end_is_killed_and_told(who: str) -> None:
    began = time.monotonic()
    worker, companion = (STUBBORN, RUNS) if who == "worker" else (RUNS, STUBBORN)

    def ran() -> bool:
        return time.monotonic() - began > 1

    assert supervise(worker, companion, until=ran, seconds=0.5) is False
