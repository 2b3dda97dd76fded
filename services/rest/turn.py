"""The small requests that are ready in one turn of the event loop: scored in one run, written by one write.

Nobody waits for others by default: the turn ends when all sockets that had bytes were read. What does not fit into one
run is the next turn's.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from contracts.errors import Overloaded
from monitoring.metrics.counting import ProtocolMetrics
from services.core.auth import NOBODY, Caller
from services.core.predictor import Predictor
from services.core.request import Answer, PredictionRequest, Trace
from services.rest.routes import Reply
from services.wire.quick import QuickRequest


class Connection(Protocol):
    """Where an answer goes."""

    def reply(self, reply: Reply) -> None: ...


@dataclass(frozen=True, slots=True)
class Path:
    """What stands behind a path of small requests.

    Attributes:
        decode: None: the request is not of the usual form, `alone` answers it.
        encode: the body of an answer.
        alone: answers one request the long way: its body, its caller, and when it came.
        name: in traces.
    """

    decode: Callable[[bytes], QuickRequest | None]
    encode: Callable[[Answer], bytes]
    alone: Callable[[bytes, Caller, float], Reply]
    name: str


@dataclass(slots=True)
class _Waiting:
    """A request that waits for the end of the turn. `quick` None: it is answered alone, or `reply` is there already."""

    connection: Connection
    path: Path
    caller: Caller
    body: bytes
    started: float
    quick: QuickRequest | None
    parent: bytes = b""
    reply: Reply | None = None


class Turn:
    """Collects requests and answers them, in the order in which they came. Belongs to the event loop's thread.

    Args:
        refuse: the reply to an error, a caller's name, a request's id and its start; it counts and reports it.
        batch_rows: of one run, at most; a request that has more is one of its own.
        delay_us: how long requests wait for others; 0: until the turn ends.
        max_rows: that may wait; a request beyond it is refused.
        trace: told of each request; None: traces are off.
    """

    def __init__(
        self,
        predictor: Predictor,
        metrics: ProtocolMetrics,
        refuse: Callable[[Exception, str, str, float], Reply],
        *,
        batch_rows: int,
        delay_us: int,
        max_rows: int,
        trace: Trace | None = None,
    ) -> None:
        self._predictor, self._metrics, self._refuse = predictor, metrics, refuse
        self._batch_rows, self._delay, self._max_rows = batch_rows, delay_us / 1e6, max_rows
        self.trace = trace
        self._waiting: deque[_Waiting] = deque()
        self._rows = 0
        self._loop = asyncio.get_running_loop()
        self._widths = len(predictor.schema.numeric), len(predictor.schema.category)

    def add(self, connection: Connection, path: Path, caller: Caller | Exception, body: bytes, parent: bytes) -> None:
        """Take in a request whose body is complete.

        Args:
            caller: who asks, or why it is refused.
            parent: W3C's traceparent; empty: none.
        """
        started = time.perf_counter()
        if isinstance(caller, Exception):
            reply = self._refuse(caller, "", "", started)
            self._wait(_Waiting(connection, path, NOBODY, b"", started, None, parent, reply))
            return
        quick = None if caller.probe else path.decode(body)  # what is not logged goes alone
        waiting = _Waiting(connection, path, caller, body, started, quick, parent)
        if quick is not None:
            try:
                if self._rows + quick.rows > self._max_rows:
                    raise Overloaded(
                        f"at most {self._max_rows} rows may wait, got {quick.rows} more than {self._rows}; "
                        "try again later"
                    )
                caller.take(quick.rows)
            except Overloaded as error:
                waiting.quick, waiting.reply = None, self._refused(waiting, error)
            else:
                self._rows += quick.rows
        self._wait(waiting)

    def _refused(self, one: _Waiting, error: Exception) -> Reply:
        return self._refuse(error, one.caller.name, one.quick.id if one.quick else "", one.started)

    def _wait(self, waiting: _Waiting) -> None:
        if not self._waiting:
            if self._delay:
                self._loop.call_later(self._delay, self._end)
            else:
                self._loop.call_soon(self._end)
        self._waiting.append(waiting)
        if self._delay and self._rows >= self._batch_rows:
            self._end()

    def end(self) -> None:
        """Answer all that wait, now."""
        while self._waiting:
            self._answer(self._take())

    def _end(self) -> None:
        if not self._waiting:  # answered already
            return
        self._answer(self._take())
        if self._waiting:
            self._loop.call_soon(self._end)

    def _take(self) -> list[_Waiting]:
        """The oldest that wait, with as many rows as one run takes."""
        batch = [self._waiting.popleft()]
        rows = batch[0].quick.rows if batch[0].quick else 0
        while self._waiting:
            quick = self._waiting[0].quick
            rows += quick.rows if quick else 0
            if rows > self._batch_rows:
                break
            batch.append(self._waiting.popleft())
        self._rows -= sum(one.quick.rows for one in batch if one.quick)
        return batch

    def _answer(self, batch: list[_Waiting]) -> None:
        self._metrics.begin(len(batch))
        try:
            self._score([(one, one.quick) for one in batch if one.quick is not None])
        except Exception as error:  # noqa: BLE001 - the edge of the service: an unknown error must not leave it
            for one in batch:
                one.reply = one.reply or self._refused(one, error)
        for one in batch:
            if one.reply is None:
                one.reply = one.path.alone(one.body, one.caller, one.started)
            one.connection.reply(one.reply)
        moment = time.perf_counter()
        self._metrics.end([(moment - one.started, one.reply.request_id if one.reply else "") for one in batch])

        if self.trace is not None:
            for one in batch:
                self._tell(self.trace, one)

    def _tell(self, trace: Trace, one: _Waiting) -> None:
        reply = one.reply or Reply(500, b"")
        request_id = reply.request_id or (one.quick.id if one.quick else "")
        trace(
            one.path.name,
            one.started,
            reply.code,
            answer=reply.answer,
            request_id=request_id,
            caller=one.caller.name,
            parent=one.parent.decode("latin-1"),
        )

    def _score(self, batch: list[tuple[_Waiting, QuickRequest]]) -> None:
        if not batch:
            return
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which the schema refuses by name
            numeric = np.array([value for _, quick in batch for value in quick.numbers], np.float32)
        numeric = numeric.reshape(-1, self._widths[0])
        category = np.array([value for _, quick in batch for value in quick.strings], object)
        category = category.reshape(-1, self._widths[1])
        requests = []
        end = 0
        for one, quick in batch:
            begin, end = end, end + quick.rows
            requests.append(
                PredictionRequest(
                    "rest",
                    numeric[begin:end],
                    category[begin:end],
                    quick.id,
                    quick.event_us,
                    one.started,
                    one.caller.name,
                    "",
                    quick.key,
                )
            )
        outcomes = self._predictor.predict_many(requests, numeric, category)
        for (one, _), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Answer):
                one.reply = Reply(200, one.path.encode(outcome), answer=outcome)
            else:
                one.reply = self._refused(one, outcome)
