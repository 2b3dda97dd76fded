"""Replays the task's own past as traffic: each row is sent at its time of prediction, its label comes with its outcome.

The clock is the rows' own: it stands at `predicted_at` of the row that is being sent, and nothing sleeps. Request ids
are the rows' ids and the service counts an id once, so a replay may be stopped and run again.
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
from contracts.reports.monitoring import PROTOCOLS
from contracts.schema import Schema
from contracts.store import load_champion
from contracts.workspace import Workspace
from demo.clients import Client, GrpcClient, Refused, RestClient
from demo.evidence import COMPARED_ROWS, Replay
from demo.messages import ClientRequest
from demo.observers import progress
from demo.replayed_rows import Rows, iso, later_months, read_rows

logger = logging.getLogger(__name__)

CONCURRENT: Final = 16  # unanswered requests, a protocol
LABEL_BATCH: Final = 1_000  # labels a request, at most
HOUR: Final = np.timedelta64(1, "h")


def read_token(token_file: Path) -> str | None:
    """The service's token. None without a file: with --no-auth none is needed, and any other service refuses us."""
    return token_file.read_text(encoding="utf-8").strip() if token_file.is_file() else None


def replay_workspace(
    workspace: Workspace, first: str | None, last: str | None, *, rest: str, grpc: str, token_file: Path
) -> Replay:
    """Replay months of the workspace's own table against a service of its champion.

    Args:
        first: month, "2013-07", inclusive; None is the first that begins at the champion's `as_of` or after.
        last: inclusive; None is the table's last.

    Raises:
        ArtifactInvalid: no champion, or one that does not verify.
        DataError, Unauthenticated, Unavailable: as `replay`.
    """
    champion = load_champion(workspace.store, workspace.public_key)
    if first is None or last is None:
        begin, end = later_months(workspace.features, champion.manifest.as_of)
        first, last = first or begin, last or end
    return replay(
        workspace.features, champion.schema, first, last,
        rest=rest, grpc=grpc, token_file=token_file, evidence=workspace.state / "replay.json",
    )  # fmt: skip


def replay(
    features: Path, schema: Schema, first: str, last: str, *, rest: str, grpc: str, token_file: Path, evidence: Path
) -> Replay:
    """Send every row of some months, one row a request, REST and gRPC in turn, and every label.

    Args:
        features: data/features.parquet.
        schema: of the table, and of the model that answers.
        first: month, "2013-07", inclusive.
        last: inclusive.
        rest: address, "http://127.0.0.1:3000".
        grpc: address, "127.0.0.1:3001".
        evidence: JSON summary to write, with an .npz of ids, scores and latencies beside it.

    Raises:
        DataError: nothing to send.
        Unauthenticated: the token is not the service's.
        Unavailable: the service is unreachable for longer than the retries last.
    """
    rows, token = read_rows(features, schema, first, last), read_token(token_file)
    plural = schema.subject.plural
    logger.info("Sending %d %s of %s to %s over REST and gRPC ...", len(rows), plural, first, last)
    clients = RestClient(rest, token, schema.name), GrpcClient(grpc, token, schema.name)
    result = asyncio.run(_send(rows, *clients))
    result.save(evidence)
    answered = int((~np.isnan(result.scores)).sum())
    logger.info(
        "%d of %d answered, %d labels delivered, in %.0f s (%d a second): %s",
        answered, len(rows), result.labels, result.seconds, len(rows) / result.seconds, evidence,
    )  # fmt: skip
    return result


async def _send(rows: Rows, rest: RestClient, grpc: GrpcClient) -> Replay:
    started = time.perf_counter()
    async with rest, grpc:
        run = _Run(rows, (rest, grpc), rest.labels)
        try:
            await run.all()
        except ExceptionGroup as failures:
            ours, others = failures.split(WindsockError)
            if ours is None or others is not None:
                raise
            # `except*` would do the same, but early releases of Python 3.11 wrap what is raised in it once more.
            raise _first(ours) from None
    return Replay(
        ids=rows.ids,
        months=rows.months,
        protocols=np.array(PROTOCOLS)[np.arange(len(rows)) % 2],
        scores=run.scores,
        latency_us=run.latency_us,
        other_scores=run.other_scores,
        statuses=dict(sorted(run.statuses.items())),
        labels=run.labels,
        seconds=time.perf_counter() - started,
    )


class _Run:
    """The state of one replay. `deliver` sends labels and says how many were taken in."""

    def __init__(self, rows: Rows, clients: tuple[Client, Client], deliver: Callable[..., Any]) -> None:
        n = len(rows)
        self.rows, self.clients, self._deliver = rows, clients, deliver
        self.scores, self.other_scores = np.full(n, np.nan), np.full(n, np.nan)
        self.latency_us = np.full(n, -1, np.int64)
        self.statuses: Counter[str] = Counter()
        self.labels = 0
        self._event_time = iso(rows.predicted_at)
        self._compared = set(np.linspace(0, n - 1, min(n, COMPARED_ROWS)).astype(int).tolist())
        labelled = np.flatnonzero(rows.label >= 0)
        self._by_outcome = labelled[np.argsort(rows.outcome_at[labelled], kind="stable")]
        self._outcome_at = rows.outcome_at[self._by_outcome]
        self._next_label = 0

    async def all(self) -> None:
        """Rows in order, at most `CONCURRENT` unanswered a protocol; labels whenever the clock has moved an hour."""
        free = [asyncio.Semaphore(CONCURRENT) for _ in self.clients]

        async def one(i: int) -> None:
            try:
                await self._send_row(i)
            finally:
                free[i % 2].release()

        hours = self.rows.predicted_at.astype("datetime64[h]")
        turns = np.flatnonzero(np.diff(hours, prepend=hours[0] - HOUR)).tolist()
        with progress(len(self.rows)) as advance:
            async with asyncio.TaskGroup() as tasks:
                for begin, end in zip(turns, [*turns[1:], len(self.rows)], strict=True):
                    await self._send_labels(self.rows.predicted_at[begin])
                    for i in range(begin, end):
                        await free[i % 2].acquire()
                        tasks.create_task(one(i))
                    advance(end, self._event_time[begin][:10])
            await self._send_labels(None)

    async def _send_row(self, i: int) -> None:
        rows = self.rows
        request = ClientRequest(
            str(rows.ids[i]), rows.numeric[i : i + 1], rows.category[i : i + 1], self._event_time[i]
        )
        started = time.perf_counter_ns()
        self.scores[i] = await self._ask(self.clients[i % 2], request)
        if not np.isnan(self.scores[i]):
            self.latency_us[i] = (time.perf_counter_ns() - started) // 1000
        if i in self._compared:
            # The id is the same: the log keeps the first row, so it still counts once.
            self.other_scores[i] = await self._ask(self.clients[1 - i % 2], request)

    async def _ask(self, client: Client, request: ClientRequest) -> float:
        try:
            (score,) = await client.infer(request)
        except Refused as refused:
            self.statuses[f"{client.protocol} {refused.status}"] += 1
            return float("nan")
        self.statuses[f"{client.protocol} {'200' if client.protocol == 'rest' else 'OK'}"] += 1
        return score

    async def _send_labels(self, now: np.datetime64 | None) -> None:
        """Deliver the labels of outcomes up to `now`; None delivers all that are left."""
        end = len(self._outcome_at) if now is None else int(np.searchsorted(self._outcome_at, now, side="right"))
        delivered_at = iso(self._outcome_at[-1:] if now is None else np.array([now]))[0] if end else ""
        await asyncio.sleep(0)  # rows whose turn has come are on their way before the labels are
        for begin in range(self._next_label, end, LABEL_BATCH):
            chosen = self._by_outcome[begin : min(begin + LABEL_BATCH, end)]
            self.labels += await self._deliver(self.rows.labels(chosen, delivered_at))
        self._next_label = max(self._next_label, end)


def _first(failures: BaseExceptionGroup[WindsockError]) -> BaseException:
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
