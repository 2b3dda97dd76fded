"""Plays the world: every flight asks for its prediction when it would have, and its label comes when it lands.

The clock is the flights' own: it stands at `predicted_at` of the flight that is being sent, and nothing sleeps.
Request ids are the flights' ids and the service counts an id once, so a replay may be stopped and run again.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from contracts.errors import WindsockError
from demo.clients import Client, GrpcClient, Refused, Request, RestClient
from demo.evidence import PROTOCOLS, Replay
from demo.progress import progress
from demo.rows import Flights, read_flights

logger = logging.getLogger(__name__)

IN_FLIGHT: Final = 16  # requests at a time, a protocol
COMPARED_ROWS: Final = 2_000  # asked over both protocols, spread evenly
LABEL_BATCH: Final = 1_000  # labels a request, at most
HOUR: Final = np.timedelta64(1, "h")


def read_token(token_file: Path) -> str | None:
    """None without a file: a service started with --no-auth needs none, any other one says so at the first request."""
    return token_file.read_text(encoding="utf-8").strip() if token_file.is_file() else None


def replay(
    features: Path,
    first: str,
    last: str,
    *,
    rest: str,
    grpc: str,
    token_file: Path,
    evidence: Path = Path("state/replay.json"),
) -> Replay:
    """Send every flight of some months, one row a request, REST and gRPC in turn, and every label.

    Args:
        features: data/features.parquet.
        first: month of New York, "2013-07", inclusive.
        last: inclusive.
        rest: address, "http://127.0.0.1:3000".
        grpc: address, "127.0.0.1:3001".
        evidence: JSON summary to write, with an .npz of ids, scores and latencies beside it.

    Raises:
        DataError: nothing to send.
        Unauthenticated: the token is not the service's.
        Unavailable: the service is away for longer than the retries last.
    """
    flights, token = read_flights(features, first, last), read_token(token_file)
    logger.info("Sending %d flights of %s to %s over REST and gRPC ...", len(flights), first, last)
    result = asyncio.run(_send(flights, RestClient(rest, token), GrpcClient(grpc, token)))
    result.save(evidence)
    answered = int((~np.isnan(result.scores)).sum())
    logger.info(
        "%d of %d answered, %d labels delivered, in %.0f s (%d a second): %s",
        answered, len(flights), result.labels, result.seconds, len(flights) / result.seconds, evidence,
    )  # fmt: skip
    return result


async def _send(flights: Flights, rest: RestClient, grpc: GrpcClient) -> Replay:
    started = time.perf_counter()
    async with rest, grpc:
        run = _Run(flights, (rest, grpc), rest.labels)
        try:
            await run.all()
        except* WindsockError as failures:
            raise _first(failures) from None
    return Replay(
        ids=flights.ids,
        months=flights.months,
        protocols=np.array(PROTOCOLS)[np.arange(len(flights)) % 2],
        scores=run.scores,
        latency_us=run.latency_us,
        other_scores=run.other_scores,
        statuses=dict(sorted(run.statuses.items())),
        labels=run.labels,
        seconds=time.perf_counter() - started,
    )


class _Run:
    """The state of one replay. `deliver` sends labels and says how many were taken in."""

    def __init__(self, flights: Flights, clients: tuple[Client, Client], deliver: Callable[..., Any]) -> None:
        n = len(flights)
        self.flights, self.clients, self._deliver = flights, clients, deliver
        self.scores, self.other_scores = np.full(n, np.nan), np.full(n, np.nan)
        self.latency_us = np.full(n, -1, np.int64)
        self.statuses: Counter[str] = Counter()
        self.labels = 0
        self._event_time = [f"{t}Z" for t in np.datetime_as_string(flights.predicted_at, unit="s").tolist()]
        self._compared = set(np.linspace(0, n - 1, min(n, COMPARED_ROWS)).astype(int).tolist())
        labelled = np.flatnonzero(flights.late >= 0)
        self._landings = labelled[np.argsort(flights.landed[labelled], kind="stable")]
        self._landed = flights.landed[self._landings]
        self._next_label = 0

    async def all(self) -> None:
        """Flights in order, at most `IN_FLIGHT` unanswered a protocol; labels whenever the clock has moved an hour."""
        free = [asyncio.Semaphore(IN_FLIGHT) for _ in self.clients]

        async def one(i: int) -> None:
            try:
                await self._fly(i)
            finally:
                free[i % 2].release()

        hours = self.flights.predicted_at.astype("datetime64[h]")
        turns = np.flatnonzero(np.diff(hours, prepend=hours[0] - HOUR)).tolist()
        with progress(len(self.flights)) as advance:
            async with asyncio.TaskGroup() as tasks:
                for begin, end in zip(turns, [*turns[1:], len(self.flights)], strict=True):
                    await self._land(self.flights.predicted_at[begin])
                    for i in range(begin, end):
                        await free[i % 2].acquire()
                        tasks.create_task(one(i))
                    advance(end, self._event_time[begin][:10])
            await self._land(None)

    async def _fly(self, i: int) -> None:
        flights = self.flights
        request = Request(
            str(flights.ids[i]), flights.numeric[i : i + 1], flights.category[i : i + 1], self._event_time[i]
        )
        started = time.perf_counter_ns()
        self.scores[i] = await self._ask(self.clients[i % 2], request)
        if not np.isnan(self.scores[i]):
            self.latency_us[i] = (time.perf_counter_ns() - started) // 1000
        if i in self._compared:
            # The same id: the log keeps the first row, so the flight still counts once.
            self.other_scores[i] = await self._ask(self.clients[1 - i % 2], request)

    async def _ask(self, client: Client, request: Request) -> float:
        try:
            (score,) = await client.infer(request)
        except Refused as refused:
            self.statuses[f"{client.protocol} {refused.status}"] += 1
            return float("nan")
        self.statuses[f"{client.protocol} {'200' if client.protocol == 'rest' else 'OK'}"] += 1
        return score

    async def _land(self, now: np.datetime64 | None) -> None:
        """Deliver the labels of flights that have landed by `now`; None is the end of days."""
        end = len(self._landed) if now is None else int(np.searchsorted(self._landed, now, side="right"))
        delivered_at = f"{np.datetime_as_string(self._landed[-1] if now is None else now, unit='s')}Z" if end else ""
        await asyncio.sleep(0)  # flights whose turn has come are on their way before the labels are
        for begin in range(self._next_label, end, LABEL_BATCH):
            chosen = self._landings[begin : min(begin + LABEL_BATCH, end)]
            landed_at = np.datetime_as_string(self.flights.landed[chosen], unit="s").tolist()
            self.labels += await self._deliver(
                [
                    {"id": id_, "value": bool(late), "outcome_at": f"{at}Z", "delivered_at": delivered_at}
                    for id_, late, at in zip(
                        self.flights.ids[chosen].tolist(), self.flights.late[chosen].tolist(), landed_at, strict=True
                    )
                ]
            )
        self._next_label = max(self._next_label, end)


def _first(failures: BaseExceptionGroup[WindsockError]) -> BaseException:
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
