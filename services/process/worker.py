"""What runs in the BentoML worker: everything that `windsock serve` starts, in order, and how it ends.

start   lifeline, models (verified again), warm-up, spool, gRPC, metrics, REST
drain   SIGTERM: not ready, but still answering for `drain_seconds`; then BentoML closes REST
stop    gRPC with grace, shadow, spool; the companion moves what is in it
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Final
from wsgiref.simple_server import WSGIServer

import uvicorn
from prometheus_client import start_http_server

from contracts.errors import Unavailable
from contracts.settings import ServiceSettings
from contracts.settings.lifeline import Lifeline
from contracts.store.state import State
from monitoring.metrics.declared import Metrics
from monitoring.metrics.log import LogMetrics
from monitoring.spool.spool import Spool
from services.core import refusals
from services.core.admission import Budget, LargeRequests
from services.core.auth import Guard
from services.core.following import Follower, Models
from services.core.predictor import Predictor
from services.core.shadow import Shadow
from services.grpc.server import GrpcServer
from services.process.accepting import Acceptor, find_server
from services.process.tls import follow_on_rest, read_certificate
from services.process.tracing import start_tracing
from services.rest.app import Rest
from services.rest.hot import HotProtocol, close_idle

logger = logging.getLogger(__name__)

FOLLOW_SECONDS: Final = 0.5  # until a change of tokens or certificate counts, at most
GRPC_GRACE_SECONDS: Final = 10.0
REFRESH_SECONDS: Final = 1.0  # age of the metrics of several workers, at most, and between looks at connections
CHECK_SECONDS: Final = 0.5  # between looks at the spool's volume
REFUSE_SECONDS: Final = 0.2  # for clients of gRPC that are between two calls
# Seconds that a thread may keep the interpreter. The default, 5 ms, is what a request would wait whenever the shadow or
# a scrape is at work; a request is .2 ms.
SWITCH_SECONDS: Final = 0.0005


class Worker:
    """One process that answers: a model, its log, and the servers in front of it."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        state = State(settings.state)
        models = Models(settings.store, state, settings.public_key)
        roles = models.load_first()
        metrics = Metrics(roles.champion.schema)
        self._spool = Spool(settings.spool, settings.spool_bytes, settings.spool_fsync)
        self._shadow = Shadow(self._spool, metrics, settings.shadow_rows)
        self.predictor = Predictor(roles, self._spool, metrics, self._shadow, settings.max_rows_in_flight)
        self._follower = Follower(self.predictor, models, state, settings.store, metrics)
        guard = Guard(settings.tokens_file if settings.auth else None)
        self._guard, self._certificate = guard, read_certificate(settings)
        large_requests = LargeRequests(metrics)
        bytes_in_flight = Budget("bytes of bodies", settings.max_bytes_in_flight)
        self._tracing = start_tracing(settings)
        self.rest = Rest(self.predictor, guard, metrics, large_requests, bytes_in_flight, self._tracing)
        try:
            self._grpc = GrpcServer(
                self.predictor,
                guard,
                metrics,
                sizes=bytes_in_flight,
                address=f"{_bracket(settings.host)}:{settings.grpc_port}",
                connection_seconds=settings.grpc_connection_seconds,
                shared_port=settings.workers > 1,
                credentials=None if self._certificate is None else self._certificate.for_grpc(),
                trace=self._tracing,
            )
            self._metrics_server: WSGIServer | None = None
            if settings.metrics_folder is None:
                metrics.registry.register(LogMetrics(state, settings.spool, settings.spool_bytes))
                self._metrics_server, _ = start_http_server(
                    settings.metrics_port, settings.metrics_host, registry=metrics.registry
                )
        except (OSError, RuntimeError) as error:
            raise Unavailable(f"the ports of gRPC and metrics must be free, got: {error}; choose others") from error
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        server = find_server()
        self._follower.start()
        if self._certificate is not None:
            follow_on_rest(self._certificate, server)
        acceptor = asyncio.create_task(Acceptor.start(server))
        self._install_drain(server, acceptor)
        lifeline = Lifeline(self._settings.lifeline)
        lifeline.watch()
        HotProtocol.hot = self.rest.hot(self._settings)
        self.predictor.open = True
        self._grpc.start()
        gc.collect()
        gc.freeze()  # what start-up made lives as long as the service: no later collection need look at it
        self.predictor.ready = True
        await self._check_spool()
        lifeline.say_ready()
        self._repeat(self._check_spool, CHECK_SECONDS)
        self._repeat(self._follow_files, FOLLOW_SECONDS)
        self._repeat(self._refresh, REFRESH_SECONDS)
        settings = self._settings
        logger.info(
            "ready: %s %s  REST %s://%s:%d (/docs)  gRPC %s:%d  metrics http://%s:%d/metrics",
            self.predictor.name,
            self.predictor.roles.champion.version,
            "http" if self._certificate is None else "https",
            _bracket(settings.host),
            settings.rest_port,
            _bracket(settings.host),
            settings.grpc_port,
            _bracket(settings.metrics_host),
            settings.metrics_port,
        )

    async def stop(self) -> None:
        """End gRPC, the shadow, the spool and the metrics. BentoML calls this after the last REST answer."""
        # A new call gets UNAVAILABLE now, and is tried elsewhere; during the shutdown of gRPC it would get CANCELLED.
        self.predictor.open = False
        await asyncio.sleep(REFUSE_SECONDS)
        await self._grpc.stop(GRPC_GRACE_SECONDS)
        await asyncio.to_thread(self._shadow.stop)
        self._follower.stop()
        self._spool.close()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.stop)
        self._metrics.refresh()
        if self._metrics_server is not None:
            self._metrics_server.shutdown()
            self._metrics_server.server_close()
        logger.info("stopped")

    async def _check_spool(self) -> None:
        """Notice a volume that takes no writes before a request does, and when it takes them again."""
        await asyncio.to_thread(self._spool.check)
        self._grpc.tell_health(serving=self.predictor.healthy)

    async def _refresh(self) -> None:
        """End connections that do not get on: uvicorn sees to those alone that its own application answered. And bring
        the files of several workers up to date: the launcher's scrape cannot ask for what is not yet counted."""
        close_idle()
        if self._settings.metrics_folder is not None:
            self._metrics.refresh()

    async def _follow_files(self) -> None:
        """Take tokens that were added, refuse those that were removed, and present the newest certificate."""
        self._guard.reload()
        refusals.flush()
        if self._certificate is not None:
            self._certificate.reload()

    def _repeat(self, step: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Do a step again and again, whatever comes of it."""

        async def repeat() -> None:
            while True:
                await asyncio.sleep(seconds)
                try:
                    await step()
                except Exception:
                    logger.exception("an internal error, which stops nothing")

        self._keep(asyncio.create_task(repeat()))

    def _install_drain(self, server: uvicorn.Server, acceptor: asyncio.Task[Acceptor]) -> None:
        """Put `drain_seconds` between SIGTERM and the end of REST."""
        loop = asyncio.get_running_loop()

        async def drain(number: int, frame: FrameType | None) -> None:
            logger.info("draining")
            self.predictor.ready = False
            self._grpc.drain()
            await asyncio.sleep(self._settings.drain_seconds)
            (await acceptor).stop()
            server.handle_exit(number, frame)

        def on_signal(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second SIGTERM changes nothing
            loop.call_soon_threadsafe(lambda: self._keep(loop.create_task(drain(number, frame))))

        signal.signal(signal.SIGTERM, on_signal)

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Hold a task until it ends, as the loop itself holds tasks weakly."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _bracket(address: str) -> str:
    return f"[{address}]" if ":" in address else address
