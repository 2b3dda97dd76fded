"""Requests to a running service that are no traffic: single rows against a batch, latency, odd rows, refusals.

They carry no `event_time`, so they are logged under the present and stay out of the replayed months.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

import aiohttp
import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.errors import Unauthenticated
from contracts.schema import Schema
from demo.clients import Client, GrpcClient, Refused, RestClient
from demo.evidence import MISSING_VALUES, UNKNOWN_CATEGORY, Answer
from demo.messages import ClientRequest, rest_body
from demo.replayed_rows import Rows

BATCH_ROWS: Final = 4_096
ALONE_ROWS: Final = 64
ROUNDS: Final = 3
REQUESTS_A_ROUND: Final = 2_000
WARM_UP: Final = 300
PREFIX: Final = "probe-"  # of the ids of all these requests
OK: Final = {"rest": "200", "grpc": "OK"}


@dataclass(frozen=True, slots=True)
class Probes:
    """What `probe` saw; the fields are `Evidence`'s."""

    batch_rows: int
    alone: NDArray[np.float64]
    together: NDArray[np.float64]
    latency_rounds_ms: dict[str, list[float]]
    tolerated: list[Answer]
    malformed: list[Answer]
    after_malformed: Answer
    without_token: list[Answer]


async def probe(rows: Rows, schema: Schema, rest: str, grpc: str, token: str | None) -> Probes:
    """Ask all of it over one connection a protocol, with the first `BATCH_ROWS` rows, or all when there are fewer."""
    rows, name = rows.head(BATCH_ROWS), schema.name
    async with RestClient(rest, token, name, connections=1) as r, GrpcClient(grpc, token, name) as g:
        latency = {client.protocol: await _rounds(client, rows) for client in (r, g)}
        alone, together = await _alone_and_together(g, rows)
        tolerated = [await _answer(case, r, request) for case, request in _odd(rows, schema).items()]
        malformed = [await _post(case, r, body) for case, body in _malformed(rows, schema).items()]
        malformed.append(await _answer("gRPC, one number too few", g, _narrow(rows)))
        after = await _answer("a good row", r, _request(rows, 0))
    return Probes(
        batch_rows=len(rows),
        alone=alone,
        together=together,
        latency_rounds_ms=latency,
        tolerated=tolerated,
        malformed=malformed,
        after_malformed=after,
        without_token=await _without_token(rows, name, rest, grpc),
    )


def _request(rows: Rows, begin: int, count: int = 1) -> ClientRequest:
    chosen = slice(begin, begin + count)
    return ClientRequest(f"{PREFIX}{uuid4()}", rows.numeric[chosen], rows.category[chosen])


async def _rounds(client: Client, rows: Rows) -> list[float]:
    """p99 in ms of each round of single rows, one after the other."""
    requests = [_request(rows, i % len(rows)) for i in range(WARM_UP + ROUNDS * REQUESTS_A_ROUND)]
    taken = np.empty(len(requests))
    for i, request in enumerate(requests):
        started = time.perf_counter()
        await client.infer(request)
        taken[i] = time.perf_counter() - started
    rounds = taken[WARM_UP:].reshape(ROUNDS, REQUESTS_A_ROUND)
    milliseconds: list[float] = (np.percentile(rounds, 99, axis=1) * 1000).tolist()
    return milliseconds


async def _alone_and_together(client: Client, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of rows spread over one batch, asked alone and read from the batch's answer."""
    batch = await client.infer(_request(rows, 0, len(rows)))
    chosen = np.linspace(0, len(rows) - 1, ALONE_ROWS).astype(int).tolist()
    alone = [(await client.infer(_request(rows, i)))[0] for i in chosen]
    return np.array(alone), np.array([batch[i] for i in chosen])


def _odd(rows: Rows, schema: Schema) -> dict[str, ClientRequest]:
    """Rows as honest callers send them: a value that training never saw, and nothing where nothing is known."""
    unknown, missing = _request(rows, 0), _request(rows, 0)
    category = unknown.category.copy()
    category[0, 0] = "~" * min(3, schema.category[0].max_length)
    numeric = missing.numeric.copy()
    numeric[0, [feature.nullable for feature in schema.numeric]] = np.nan
    return {
        UNKNOWN_CATEGORY: replace(unknown, category=category),
        MISSING_VALUES: replace(missing, numeric=numeric),
    }


def _malformed(rows: Rows, schema: Schema) -> dict[str, bytes]:
    good: dict[str, Any] = msgspec.json.decode(rest_body(_request(rows, 0)))
    numeric, category = good["inputs"]
    data, first = numeric["data"], schema.numeric[0]
    above = first.high + max(1.0, abs(first.high))

    def with_numbers(numbers: list[float]) -> bytes:
        return msgspec.json.encode({**good, "inputs": [{**numeric, "data": numbers}, category]})

    return {
        "not JSON": b'{"inputs": [',
        "a literal NaN": msgspec.json.encode(good).replace(msgspec.json.encode(data), b"[NaN]"),
        "no category tensor": msgspec.json.encode({**good, "inputs": [numeric]}),
        "an unknown tensor": msgspec.json.encode({**good, "inputs": [{**numeric, "name": "numbers"}, category]}),
        "one number too few": with_numbers(data[:-1]),
        f"{first.name} above its bound": with_numbers([above, *data[1:]]),
    }


def _narrow(rows: Rows) -> ClientRequest:
    good = _request(rows, 0)
    return replace(good, numeric=good.numeric[:, :-1])


async def _without_token(rows: Rows, model: str, rest: str, grpc: str) -> list[Answer]:
    answers = []
    for name, token in (("no token", None), ("a wrong token", "wrong")):
        async with RestClient(rest, token, model) as r, GrpcClient(grpc, token, model) as g:
            answers += [
                await _answer(f"REST {name}", r, _request(rows, 0)),
                await _answer(f"gRPC {name}", g, _request(rows, 0)),
            ]
    return answers


async def _answer(case: str, client: Client, request: ClientRequest) -> Answer:
    async def send() -> str:
        scores = await client.infer(request)
        return ", ".join(f"{score:.4f}" for score in scores)

    return await _told(case, client.protocol, send)


async def _post(case: str, client: RestClient, body: bytes) -> Answer:
    async def send() -> str:
        return str(await client.post(client.infer_path, body))

    return await _told(case, client.protocol, send)


async def _told(case: str, protocol: str, send: Callable[[], Awaitable[str]]) -> Answer:
    try:
        return Answer(case, OK[protocol], await send())
    except Refused as refused:
        return Answer(case, refused.status, refused.message)
    except Unauthenticated as error:
        return Answer(case, {"rest": "401", "grpc": "UNAUTHENTICATED"}[protocol], str(error))
    except aiohttp.ClientError as error:
        return Answer(case, type(error).__name__, str(error))
