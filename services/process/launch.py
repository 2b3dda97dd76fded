"""`windsock serve`: check everything first, then start BentoML and watch over it until the end.

Launcher and workers hold the two ends of a socket, the lifeline. Whichever process ends, by whatever signal, the other
side sees its end close and ends too: nothing is left running, and the exit status is 0 only after an end that was
asked for. So a worker that dies ends the service, with all its workers: whoever runs it starts it anew, on the same
spool.
"""

import asyncio
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from contracts.errors import Unavailable
from contracts.settings import ServiceSettings, clean_environment, to_environment
from contracts.settings.ports import check_free
from contracts.settings.tokens import default_token, ensure_token, read_token, read_tokens
from contracts.store import load_champion
from monitoring.log.migrate import refuse_old_lines
from monitoring.log.tables import open_database
from services.process.worker_metrics import merged_metrics

logger = logging.getLogger(__name__)

START_SECONDS: Final = 60.0  # until the workers take their ends of the lifeline
STOP_SECONDS: Final = 60.0  # beyond `drain_seconds` and `flush_seconds`, until the processes are killed
_BENTOML: Final = {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1"}


def serve(settings: ServiceSettings) -> int:
    """Run the service until SIGTERM, SIGINT or SIGHUP. Returns the exit status.

    Raises:
        WindsockError: a setting, the artifact, a port or the database is not as it must be. Nothing was started.
    """
    artifact = load_champion(settings.store, settings.public_key)
    logger.info("model %s %s: verified", artifact.manifest.name, artifact.version)
    for name in ("rest", "grpc", "metrics"):
        host = settings.metrics_host if name == "metrics" else settings.host
        check_free(f"{name}_port", host, getattr(settings, f"{name}_port"), f"--{name}-port")
    _check_spool(settings.spool)
    refuse_old_lines(settings.spool)
    open_database(settings.database).dispose()
    if settings.auth:
        _ensure_tokens(settings)
    else:
        logger.warning("no token is asked for: whoever reaches %s gets answers", settings.host)
    with tempfile.TemporaryDirectory(prefix="windsock-") as name:
        folder = Path(name)
        settings = settings.model_copy(update={"lifeline": folder / "lifeline"})
        if settings.workers == 1:
            return asyncio.run(_supervise(settings))
        settings = settings.model_copy(update={"metrics_folder": folder / "metrics"})
        with merged_metrics(folder / "metrics", settings.metrics_host, settings.metrics_port):
            return asyncio.run(_supervise(settings))


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


class _Lifeline:
    """The launcher's end of the sockets. Each worker names its pid, and holds its end as long as it lives."""

    def __init__(self, workers: int) -> None:
        self.all_came, self.one_ended, self.all_ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.all_ended.set()
        self._workers = workers
        self._alive: dict[int, asyncio.StreamWriter] = {}

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.all_ended.clear()
        pid = int(await reader.readline())
        self._alive[pid] = writer
        if len(self._alive) == self._workers:
            self.all_came.set()
        await reader.read()
        writer.close()
        del self._alive[pid]
        self.one_ended.set()
        if not self._alive:
            self.all_ended.set()

    def cut(self) -> None:
        """Let the workers see the end of the launcher."""
        for writer in self._alive.values():
            writer.close()

    def kill(self) -> None:
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)


async def _supervise(settings: ServiceSettings) -> int:
    asked, lifeline = asyncio.Event(), _Lifeline(settings.workers)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    async with await asyncio.start_unix_server(lifeline.hold, settings.lifeline):
        process = await _start_bentoml(settings)
        try:
            reason = await _first(
                {
                    "it was told to stop": asked.wait(),
                    "a worker ended": lifeline.one_ended.wait(),
                    "BentoML ended": process.wait(),
                    f"its workers did not start in {START_SECONDS:g} seconds": _start_timeout(lifeline.all_came),
                }
            )
            if not asked.is_set():
                logger.error("the service must run until it is told to stop, got an early end: %s", reason)
        finally:
            in_time = await _end(process, lifeline, settings.drain_seconds + settings.flush_seconds + STOP_SECONDS)
    return 0 if asked.is_set() and in_time else 1


async def _start_bentoml(settings: ServiceSettings) -> asyncio.subprocess.Process:
    project = Path(__file__).parents[2]
    environment = clean_environment()
    environment |= {"BENTOML_HOME": str(settings.state / "bentoml")} if "BENTOML_HOME" not in os.environ else {}
    environment |= _BENTOML | to_environment(settings)
    if settings.workers > 1:
        environment["BENTOML_CONFIG_OPTIONS"] = f"services.windsock.workers={settings.workers}"
    command = [
        "serve",
        "--quiet",
        "services.process.bento:Windsock",
        "--working-dir",
        str(project),
        "--host",
        settings.host,
    ]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bentoml", *command, "--port", str(settings.rest_port)),
        env=environment,
        start_new_session=True,  # Ctrl-C reaches the launcher alone, which passes it on once
    )


async def _first(events: dict[str, Coroutine[Any, Any, Any]]) -> str:
    """The name of the event that comes first."""
    tasks = {asyncio.ensure_future(event): name for name, event in events.items()}
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    return tasks[next(iter(done))]


async def _start_timeout(came: asyncio.Event) -> None:
    """Return when the workers have not come after `START_SECONDS`; when they have, never."""
    try:
        await asyncio.wait_for(came.wait(), START_SECONDS)
    except TimeoutError:
        return
    await asyncio.Event().wait()


async def _end(process: asyncio.subprocess.Process, lifeline: _Lifeline, seconds: float) -> bool:
    """End all processes. Returns whether they ended by themselves."""
    try:
        async with asyncio.timeout(seconds):
            if process.returncode is None:
                process.terminate()
                await process.wait()
            lifeline.cut()
            await lifeline.all_ended.wait()
            return True
    except TimeoutError:
        logger.error("the service must end in %g seconds, got none; it is killed", seconds)
        if process.returncode is None:
            process.kill()
        lifeline.kill()
        return False
