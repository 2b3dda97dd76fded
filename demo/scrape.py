"""A Prometheus beside the demo, where there is one: that the service can be scraped and every rule be evaluated."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from contracts.errors import Unavailable
from demo.evidence import Scraped
from demo.server import Server, free_ports
from deploy.local.processes import find_binary, one_running
from deploy.local.stack import Ports, configure, prometheus_program
from monitoring.boards.query import Prometheus

logger = logging.getLogger(__name__)
JOB: Final = "windsock-service"
PACE: Final = "1s"  # the replay takes two minutes
SETTLE_SECONDS: Final = 30.0


@contextmanager
def scraping(state: Path, server: Server) -> Iterator[Callable[[], Scraped | None]]:
    """Until the block ends. Gives a function that says what it saw so far; None: there is no Prometheus."""
    try:
        find_binary("prometheus")
    except Unavailable as error:
        logger.info("Prometheus does not look on: %s", error)
        yield lambda: None
        return
    folder = (state / "prometheus").absolute()
    ports = Ports(metrics=urlsplit(server.metrics).port or 0, prometheus=free_ports(1)[0])
    configure(folder, ports, jobs=(JOB, "prometheus"), pace=PACE)
    with one_running(prometheus_program(folder, ports), folder, folder):
        prometheus = Prometheus(f"http://127.0.0.1:{ports.prometheus}")
        yield lambda: look(prometheus)


def look(prometheus: Prometheus) -> Scraped:
    """Waits for the next scrape, and for every rule's first evaluation."""
    asked, deadline = time.time(), time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        scraped = _number(prometheus, f'timestamp(up{{job="{JOB}"}} == 1)') > asked
        if scraped and all(rule["health"] != "unknown" for rule in _rules(prometheus)):
            break
        time.sleep(0.2)
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
