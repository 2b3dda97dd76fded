"""`windsock companion`: one process a machine, or a container beside the service's, between local files and database.

Each of its tasks has a thread and an outage of its own. It may be killed at any point: what it has moved is in the
database once, and the next one goes on where it ended.
"""

import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from contracts.errors import Unavailable
from contracts.settings import ServiceSettings
from contracts.settings.lifeline import Lifeline
from contracts.store.state import CompanionState, State
from monitoring.log.database import connect, open_log
from monitoring.log.migrate import refuse_old_spool
from monitoring.log.upkeep.retention import maintain
from services.companion.following import Following
from services.companion.mover import Mover
from services.companion.offsets import Offsets
from services.companion.repeating import Repeating
from services.companion.replicas import Replicas

logger = logging.getLogger(__name__)

_PASSING: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL")  # what SQLite says when another try may do
LOCK: Final = "companion.lock"
LOCK_SECONDS: Final = 5.0  # that one which is ending gets to end
MOVE_SECONDS: Final = 0.05  # between looks at a spool without news
FOLLOW_SECONDS: Final = 0.25
REPORT_SECONDS: Final = 0.25
STATUS_SECONDS: Final = 0.5
UPKEEP_SECONDS: Final = 3_600.0
LAST_TRY_SECONDS: Final = 1.0  # for what is under way when the time is over


def run(settings: ServiceSettings) -> None:
    """Move the log, follow the roles and keep the database until SIGTERM or SIGINT, then move what is left.

    Raises:
        ParameterError: the database's address is none of SQLite or PostgreSQL.
        DataError: the database has tables of another version, or the spool segments of one.
        Unavailable: another companion has this state's folder, or the database will never take anything.
    """
    parent = os.getppid()
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    lifeline = Lifeline(settings.lifeline)
    lifeline.watch()
    with _alone(State(settings.state)) as state:
        refuse_old_spool(settings.spool)
        _check(settings.database)
        companion = Companion(settings, state)
        companion.start()
        lifeline.say_ready()
        logger.info("companion: %s to %s", settings.spool, companion.address)
        while not over.wait(STATUS_SECONDS):
            companion.tell()
        # A starter that was killed is followed by another one, whose companion waits for this one's end.
        companion.stop(settings.flush_seconds if os.getppid() == parent else 0.0)


@contextmanager
def _alone(state: State) -> Iterator[State]:
    """Hold the folder as its one companion.

    Raises:
        Unavailable: another one holds it, or it cannot be written.
    """
    try:
        state.folder.mkdir(parents=True, exist_ok=True)
        lock = (state.folder / LOCK).open("ab")
    except OSError as error:
        raise Unavailable(f"`{state.folder}` must take writes, got: {error.strerror}; correct the folder") from error
    with lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"`{state.folder}` must have one companion, got another one that runs; stop that one, or give "
                        "this service a state of its own (--state)"
                    ) from error
                time.sleep(0.1)
        yield state


def _check(url: str) -> None:
    """Refuse a database that will never do. One that is away, or busy, is none: it is tried until it is back."""
    try:
        open_log(url).dispose()
    except Unavailable as error:
        cause = error.__cause__
        if not isinstance(cause, sa.exc.OperationalError):
            raise
        of_sqlite = getattr(cause.orig, "sqlite_errorname", None)
        if of_sqlite is not None and not of_sqlite.startswith(_PASSING):
            raise
        logger.warning("%s; rows wait in the spool meanwhile", error)


def engine_of(settings: ServiceSettings) -> sa.Engine:
    """An engine whose commits last as the spool does: a row leaves the spool when the database says that it has it."""
    engine = connect(settings.database)
    if engine.dialect.name == "sqlite" and settings.spool_fsync != "off":
        sa.event.listen(engine, "connect", _wait_for_the_disk)
    return engine


def _wait_for_the_disk(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous=FULL").close()


class Companion:
    """All that the companion does, on threads."""

    def __init__(self, settings: ServiceSettings, state: State) -> None:
        self._state = state
        self._engine = engine_of(settings)
        self.address = self._engine.url.render_as_string()
        self._mover = Mover(self._engine, settings.spool, Offsets(state))
        following = Following(self._engine, settings.store, settings.public_key, state)
        self._moving = Repeating("the log's rows wait in the spool", self._mover.step, MOVE_SECONDS)
        self._others = [
            Repeating("roles are not followed", following.step, FOLLOW_SECONDS),
            Repeating("replicas are not reported", Replicas(self._engine, state).step, REPORT_SECONDS),
        ]
        if self._engine.dialect.name == "sqlite":  # PostgreSQL's owner does it: `windsock log maintain`
            days = settings.retention_days
            self._others.append(Repeating("old rows are not deleted", lambda: self._let_go(days), UPKEEP_SECONDS))

    def _let_go(self, days: int) -> bool:
        """Delete rows that arrived more than `days` ago. Returns False: there is no more to do at once."""
        if deleted := maintain(self._engine, days).deleted:
            logger.info("companion: deleted %d rows of the log that are older than %d days", deleted, days)
        return False

    def start(self) -> None:
        self.tell()
        for each in (self._moving, *self._others):
            each.start()

    def tell(self) -> int:
        """Write how the log moves. Returns how many rows wait. A disk that fails loses nothing but this word."""
        try:
            waiting = self._mover.waiting()
            state = CompanionState(
                at=time.time(),
                database_up=bool(self._moving.works),
                moved_rows=self._mover.moved_rows,
                unmoved_rows=waiting.rows,
                oldest_us=waiting.oldest_us or 0,
                damaged=self._mover.damaged,
            )
            self._state.write(self._state.companion, state)
        except OSError as error:
            logger.debug("%s is not written: %s", self._state.companion, error)
            return 0
        return waiting.rows

    def stop(self, seconds: float) -> None:
        """Move what is left, for so long at most, and tell how much stays."""
        for each in self._others:
            each.stop()
        self._moving.finish()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._moving.join(min(left, STATUS_SECONDS)):
            self.tell()
        self._moving.stop()
        threads = [each.join(LAST_TRY_SECONDS) for each in (self._moving, *self._others)]
        if rows := self.tell():
            logger.warning("%d rows are not in the database; they stay in the spool, the next start moves them", rows)
        if all(threads):  # one that still runs hangs in the database, and ends with the process
            self._engine.dispose()
        logger.info("companion: stopped, %d rows moved", self._mover.moved_rows)
