"""What looks on while the demo runs: a progress bar, a sampler of memory, and a Prometheus where there is one."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import psutil

from contracts.errors import Unavailable
from demo.demo_service import Server
from demo.evidence import Memory, Scraped
from deploy.local.processes import find_binary, free_ports, one_running, wait_until
from deploy.local.stack import Ports, configure, prometheus_program
from monitoring.boards.query import Prometheus

logger = logging.getLogger(__name__)

MEMORY_SECONDS: Final = 0.5  # between two samples
JOB: Final = "windsock-service"
PACE: Final = "1s"  # the replay takes two minutes
SETTLE_SECONDS: Final = 30.0


@contextmanager
def progress(total: int) -> Iterator[Callable[[int, str], None]]:
    """Yields `advance(done, day)`: it moves a bar on a terminal, and writes a line every tenth elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("replay", total=total)
            yield lambda done, day: bar.update(task, completed=done, description=day)
        return
    tenth = 0

    def advance(done: int, day: str) -> None:
        nonlocal tenth
        if done * 10 // total > tenth:
            tenth = done * 10 // total
            logger.info("  %s: %3d %%, %d of %d rows sent", day, tenth * 10, done, total)

    yield advance


class MemorySampler:
    """Samples until the block ends; `memory()` gives the peak so far.

    PSS counts a page that k processes share as 1/k in each, so the sum is what the tree really takes. Where the
    system has none (macOS), RSS stands in and counts shared pages once a process.
    """

    def __init__(self) -> None:
        self._tree = psutil.Process()
        self._peak, self._samples = 0, 0
        self._measure = "PSS" if hasattr(self._tree.memory_full_info(), "pss") else "RSS"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def memory(self) -> Memory:
        return Memory(self._peak, self._measure, self._samples)

    def _run(self) -> None:
        while True:
            self._peak = max(self._peak, self._now())
            self._samples += 1
            if self._done.wait(MEMORY_SECONDS):
                return

    def _now(self) -> int:
        return sum(self._bytes(process) for process in (self._tree, *self._tree.children(recursive=True)))

    def _bytes(self, process: psutil.Process) -> int:
        try:
            return process.memory_full_info().pss if self._measure == "PSS" else process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended while we looked, or is not ours to look at
            return 0


@contextmanager
def scraping(state: Path, server: Server) -> Iterator[Callable[[], Scraped | None]]:
    """Scrape the service until the block ends.

    Yields:
        A function that says what Prometheus saw so far; None: there is no Prometheus on this machine.
    """
    try:
        find_binary("prometheus")
    except Unavailable as error:
        logger.info("No Prometheus scrapes this run: %s", error)
        yield lambda: None
        return
    folder = (state / "prometheus").absolute()
    ports = Ports(metrics=urlsplit(server.metrics).port or 0, prometheus=free_ports(1)[0])
    configure(folder, ports, jobs=(JOB, "prometheus"), pace=PACE)
    with one_running(prometheus_program(folder, ports), folder, folder):
        prometheus = Prometheus(f"http://127.0.0.1:{ports.prometheus}")
        yield lambda: look(prometheus)


def look(prometheus: Prometheus) -> Scraped:
    """What Prometheus saw, after the next scrape and the first evaluation of every rule."""
    asked = time.time()

    def settled() -> bool:
        scraped = _number(prometheus, f'timestamp(up{{job="{JOB}"}} == 1)') > asked
        return scraped and all(rule["health"] != "unknown" for rule in _rules(prometheus))

    wait_until(settled, SETTLE_SECONDS, 0.2)
    rules = _rules(prometheus)
    return Scraped(
        version=prometheus.version(),
        scrapes=int(_number(prometheus, f'sum(sum_over_time(up{{job="{JOB}"}}[1d]))')),
        requests=int(_number(prometheus, f'sum(windsock_requests_total{{job="{JOB}", code="ok"}})')),
        rules=len(rules),
        failed_rules=[f"{r['name']}: {r.get('lastError') or r['health']}" for r in rules if r["health"] != "ok"],
    )


def _rules(prometheus: Prometheus) -> list[dict[str, Any]]:
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]


def _number(prometheus: Prometheus, expr: str) -> float:
    """Value of a query; 0 where it has none."""
    found = prometheus.get("query", query=expr)["result"]
    return float(found[0]["value"][1]) if found else 0.0
