"""`windsock monitor serve`: the one long process of the monitor. It shows the newest result as gauges and as a page,
runs the job that makes it, and probes the service.

A thread asks the database every few seconds, and every request is answered from what it saw last: a database that is
unreachable or slow delays no scrape.
"""

import logging
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any, Final

import uvicorn
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from contracts.errors import Unavailable
from contracts.objectives import load_objectives
from contracts.reports import encode_report
from contracts.schema import Schema
from contracts.settings import MonitorSettings, to_environment, variable
from contracts.store import load_champion
from contracts.workspace import Workspace
from monitoring.metrics.process import ProcessMetrics
from monitoring.monitor import gauges, page, results
from monitoring.monitor.prober import Prober
from monitoring.monitor.results import Newest
from monitoring.monitor.runs import Runs
from monitoring.monitor.shown import remedy
from monitoring.monitor.shown.history import Spell

POLL_SECONDS: Final = 5.0
STALE_SECONDS: Final = 30.0  # a question that takes longer counts as an unreachable database
LOST_SECONDS: Final = 600.0  # without an answer, after which quality and drift are unknown: what was seen last is void
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
JSON: Final = {"Content-Type": "application/json"}
# Content policies: our page has no script, Evidently's has its own inside; neither may load from another host.
OURS: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
EVIDENTLY: Final = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
    "Content-Encoding": "gzip",
}
logger = logging.getLogger(__name__)


class Poller:
    """What the database said last. `ask` asks once; `start` asks again and again, until `stop`."""

    def __init__(self, database_url: str, alerts_url: str = "") -> None:
        self.database_url, self._alerts_url = database_url, alerts_url
        self.alarm: str | None = None  # why no alarm can arrive; None: one can, or nobody knows
        self.seen = Newest(None, None)
        self.past: tuple[Spell, ...] = ()  # incidents of the kept results; asked for when there is a new one
        self._trouble: str | None = "the database was not asked yet"
        self._asked = self._answered = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)

    def ask(self) -> None:
        """Ask the database once, and keep what it said or why it did not."""
        before = self._trouble
        try:
            seen = results.newest(self.database_url)
            if seen.ran_at != self.seen.ran_at:
                self.past = results.history(self.database_url)
            self.seen = seen
            self._trouble, self._answered = None, time.monotonic()
        except Unavailable as error:
            self._trouble = str(error)
        except Exception:  # any error: the thread that asks must go on
            logger.exception("The newest result cannot be read")
            self._trouble = "the newest result cannot be read; see the log of `windsock monitor serve`"
        self._asked = time.monotonic()
        if self._trouble != before:
            logger.info("%s", self._trouble or "The database answers")

    @property
    def trouble(self) -> str | None:
        """Why the database says nothing now; None: it answers."""
        if (silent := time.monotonic() - self._asked) > STALE_SECONDS:
            return f"the database has not answered for {silent:.0f} s"
        return self._trouble

    @property
    def lost(self) -> bool:
        """Whether the database has been silent for so long that nothing it said still counts."""
        return time.monotonic() - self._answered > LOST_SECONDS

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()

    def _run(self) -> None:
        while not self._done.wait(POLL_SECONDS):
            self.ask()
            self.alarm = silence(self._alerts_url) if self._alerts_url else None


def silence(alerts_url: str) -> str | None:
    """What the receiver of alerts says of its heartbeat: why no alarm can arrive; None: one can."""
    try:
        with urllib.request.urlopen(f"{alerts_url}/heartbeat", timeout=2):  # noqa: S310 - the operator's own address
            return None
    except urllib.error.HTTPError as error:
        with error:
            return error.read(500).decode(errors="replace").strip()
    except OSError as error:
        return f"the receiver of alerts does not answer: {error}"


def application(poller: Poller, process: ProcessMetrics) -> Starlette:
    """Page, gauges, report and Evidently's pages, each made from what the poller saw last."""

    def metrics(_: Request) -> Response:
        text = gauges.text(poller.seen, datetime.now(UTC), unreachable=poller.lost, answers=poller.trouble is None)
        return Response(text + generate_latest(process.registry), headers={"Content-Type": PROMETHEUS})

    def index(_: Request) -> Response:
        now = datetime.now(UTC)
        return HTMLResponse(page.render(poller.seen, poller.trouble, now, poller.alarm, poller.past), headers=OURS)

    def result(_: Request) -> Response:
        report = poller.seen.report
        return Response(b"null" if report is None else encode_report(report), 404 if report is None else 200, JSON)

    def drift(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            html = results.page(poller.database_url, name)
        except Unavailable as error:
            return PlainTextResponse(f"{error}\n", 503)
        if html is None:
            return PlainTextResponse(f"`{name}` must be a month of the newest result, got one without a page\n", 404)
        return HTMLResponse(html, headers=EVIDENTLY)

    def runbook(request: Request) -> Response:
        text = remedy.runbook(request.path_params["name"])
        return PlainTextResponse(text or "there is no such runbook\n", 404 if text is None else 200)

    def alive(_: Request) -> Response:
        """Health of this process alone: an unreachable database must not make the gauges unreachable, too."""
        return PlainTextResponse("ok\n")

    health = [Route(path, alive) for path in ("/healthz", "/livez", "/readyz")]
    shown = [Route("/", index), Route("/report.json", result), Route("/monitoring/{name}.html", drift)]
    shown.append(Route("/runbooks/{name}", runbook))
    return Starlette(routes=[Route("/metrics", metrics), *shown, *health])


def serve(settings: MonitorSettings) -> None:
    """Serve page and gauges, and run the job every so often, until SIGTERM or Ctrl-C.

    Raises:
        ParameterError: `objectives.yaml` names or sets what it may not.
        Unavailable: the port is taken, or the address is not of this machine.
    """
    every = settings.every_seconds
    if every is None:
        every = load_objectives(Workspace(settings.root).objectives).monitor_every_hours * 3_600
    host, port = settings.metrics_host, settings.monitor_port
    try:
        listening = socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise Unavailable(
            f"`{host}:{port}` must be free, got: {error.strerror or error}; choose another with --host or --port"
        ) from error
    poller, process = Poller(settings.database, settings.alerts_url.rstrip("/")), ProcessMetrics()
    poller.ask()
    poller.start()
    others = _others(settings, every, process)
    for other in others:
        other.start()
    often = f"it runs each {every:g} s" if every else "it is run by others"
    logger.info(
        "The monitor's page is at http://%s:%d, its gauges at /metrics; %s", *listening.getsockname()[:2], often
    )
    try:
        _answer(listening, application(poller, process))
    finally:
        poller.stop()
        for other in others:
            other.stop()


def _others(settings: MonitorSettings, every: float, process: ProcessMetrics) -> list[Runs | Prober]:
    """What this process does beside answering."""
    found: list[Runs | Prober] = []
    if settings.probe_url:

        def schema() -> Schema:
            return load_champion(settings.store, settings.public_key).schema

        found.append(Prober(settings.probe_url, settings.probe_token_file, schema, process))
    return [*found, Runs(every, _of_job(settings), process)] if every else found


def _of_job(settings: MonitorSettings) -> dict[str, str]:
    """The environment of a run, which writes to the database alone: files are those of `windsock monitor`."""
    return os.environ | to_environment(settings) | {variable(MonitorSettings, "no_files"): "1"}


def _answer(listening: socket.socket, shown: Starlette) -> None:
    """Answer requests until a signal ends it."""
    configuration = uvicorn.Config(
        shown, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3
    )
    # uvicorn ends on these signals, and then raises them once more for the handlers that were set before.
    before: dict[int, Any] = {number: signal.signal(number, _nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with listening:
            uvicorn.Server(configuration).run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing(number: int, frame: object) -> None:
    del number, frame
