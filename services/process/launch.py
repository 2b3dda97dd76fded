"""`windsock serve`: check everything first, then start workers and companion and watch over them until the end.

A worker is BentoML's (`_bentoml_impl.worker.service`, what `bentoml serve` starts), on a socket that listens here. The
supervisor of `bentoml serve` itself is left out: it looks for dead workers each ten seconds, and in a container starts
none again.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from contracts.errors import Unavailable
from contracts.settings import ServiceSettings, clean_environment, logs, to_environment
from contracts.settings.ports import bind, check_free
from contracts.settings.tokens import default_token, ensure_token, read_token, read_tokens
from contracts.store import load_champion
from contracts.store.state import State
from monitoring.metrics.log import LogMetrics
from services.process.child import Command
from services.process.supervisor import EarlyEnd, Supervisor
from services.process.tls import read_certificate
from services.process.tracing import check_tracing
from services.process.worker_metrics import merged_metrics

logger = logging.getLogger(__name__)

BACKLOG: Final = 2_048  # connections that wait for a worker
STOP_SECONDS: Final = 60.0  # beyond `drain_seconds`, until workers are killed
FLUSH_GRACE_SECONDS: Final = 15.0  # beyond `flush_seconds`, until the companion is; SQLite may be locked for 10
COMPANION_NICE: Final = 10
_BENTOML: Final = {"BENTOML_QUIET": "true", "BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1"}
# The C library gives freed memory back and asks for it anew at every large request: four fifths of what it takes to
# write down a thousand rows. With this it keeps 16 MiB. An allocator that does not know the variable ignores it.
_MEMORY: Final = {"MALLOC_TOP_PAD_": str(16 * 2**20)}


def serve(settings: ServiceSettings) -> int:
    """Run the service until SIGTERM, SIGINT or SIGHUP. Returns the exit status.

    Raises:
        WindsockError: a setting, the artifact or a port is not as it must be. Nothing was started. A database that
            will never do is found by the companion, and ends the service with status 1.
    """
    logs.set_up(settings.log_format)
    artifact = load_champion(settings.store, settings.public_key)
    logger.info("model %s %s: verified", artifact.manifest.name, artifact.version)
    check_free("grpc_port", settings.host, settings.grpc_port, "--grpc-port")
    check_free("metrics_port", settings.metrics_host, settings.metrics_port, "--metrics-port")
    read_certificate(settings)
    check_tracing(settings)
    _check_spool(settings.spool)
    if settings.auth:
        _ensure_tokens(settings)
    else:
        logger.warning("no token is asked for: whoever reaches %s gets answers", settings.host)
    with _bind_rest(settings, shared=False) as listener:
        if settings.workers == 1:
            listener.listen(BACKLOG)
            return asyncio.run(_supervise(settings, listener, lambda _: None))
    with (
        _bind_rest(settings, shared=True) as listener,  # keeps the port for the workers, and does not listen
        tempfile.TemporaryDirectory(prefix="windsock-") as name,
    ):
        settings = settings.model_copy(update={"metrics_folder": Path(name)})
        log = LogMetrics(State(settings.state), settings.spool, settings.spool_bytes)
        with merged_metrics(Path(name), log, settings.metrics_host, settings.metrics_port) as forget:
            return asyncio.run(_supervise(settings, listener, forget))


def _bind_rest(settings: ServiceSettings, *, shared: bool) -> socket.socket:
    return bind("rest_port", settings.host, settings.rest_port, "--rest-port", shared=shared)


def _ensure_tokens(settings: ServiceSettings) -> None:
    if ensure_token(settings.token_file, settings.tokens_file):
        logger.info("token: %s (made now)", settings.token_file)
    known = read_tokens(settings.tokens_file)
    logger.info("tokens: %s (%s)", settings.tokens_file, ", ".join(token.name for token in known) or "none")
    if settings.token_file.exists():
        plain = read_token(settings.token_file)
        if default_token(plain).sha256 not in {token.sha256 for token in known}:
            logger.warning("%s is none of them: clients of this machine that use it are refused", settings.token_file)


def _check_spool(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Unavailable(
            f"the spool `{folder}` must take writes, got: {error.strerror}; correct --state or the folder"
        ) from error


async def _supervise(settings: ServiceSettings, listener: socket.socket, forget: Callable[[int], None]) -> int:
    asked = asyncio.Event()

    def ask() -> None:
        listener.close()  # the workers' own ones stay open while they drain, and nothing is queued behind them
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, ask)
    workers = [_worker(settings, listener, place) for place in range(1, settings.workers + 1)]
    supervisor = Supervisor(workers, _companion(settings) if settings.companion else None, forget)
    try:
        in_time = await supervisor.run(
            asked,
            settings.drain_seconds + STOP_SECONDS,
            settings.flush_seconds + FLUSH_GRACE_SECONDS,
        )
    except EarlyEnd as error:
        logger.error("the service must run until it is told to stop, got an early end: %s", error)
        return 1
    return 0 if in_time else 1


def _worker(settings: ServiceSettings, listener: socket.socket, place: int) -> Command:
    """BentoML's worker. One alone listens on the launcher's socket, where connections wait for the next one when it
    dies. Several have a socket each, over which the kernel spreads connections: of one that is shared, a worker that
    idles takes nearly all (16 of 16 measured)."""

    def own() -> socket.socket:
        return listener.dup() if settings.workers == 1 else _bind_rest(settings, shared=True)

    tls: tuple[str, ...] = ()
    if settings.tls_certificate is not None:
        tls = ("--ssl-certfile", str(settings.tls_certificate), "--ssl-keyfile", str(settings.tls_key))
    home = {} if "BENTOML_HOME" in os.environ else {"BENTOML_HOME": str(settings.state / "bentoml")}
    return Command(
        f"worker {place}",
        (
            *(sys.executable, "-m", "_bentoml_impl.worker.service", "services.process.bento:Windsock"),
            *("--service-name", "windsock", "--worker-id", str(place)),
            *("--backlog", str(BACKLOG), *tls),
        ),
        clean_environment() | home | _BENTOML | _MEMORY | to_environment(settings),
        own,
    )


def _companion(settings: ServiceSettings) -> Command:
    return Command(
        "the companion",
        (sys.executable, "-m", "cli", "companion"),
        clean_environment() | to_environment(settings),
        nice=COMPANION_NICE,
    )
