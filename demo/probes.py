"""Requests to a running service that are no traffic: single rows against a batch, latency, odd rows, refusals.

They carry no `event_time`, so they are logged under the present and stay out of the replayed months.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import aiohttp
import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.errors import Unauthenticated
from contracts.features import CATEGORY_NAMES, NUMERIC_NAMES
from demo.clients import INFER_PATH, Client, GrpcClient, Refused, Request, RestClient, rest_body
from demo.evidence import Answer
from demo.rows import Flights

BATCH_ROWS: Final = 4_096
ALONE_ROWS: Final = 64
ROUNDS: Final = 3
REQUESTS_A_ROUND: Final = 2_000
WARM_UP: Final = 300
WEATHER: Final = (
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "precip_6h",
    "pressure",
    "visib",
)
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


async def probe(flights: Flights, rest: str, grpc: str, token: str | None) -> Probes:
    """Ask all of it over one connection a protocol; `flights` are `BATCH_ROWS` or more."""
    async with RestClient(rest, token, connections=1) as r, GrpcClient(grpc, token) as g:
        latency = {client.protocol: await _rounds(client, flights) for client in (r, g)}
        alone, together = await _alone_and_together(g, flights)
        tolerated = [await _answer(case, r, request) for case, request in _odd(flights).items()]
        malformed = [await _post(case, r, body) for case, body in _malformed(flights).items()]
        malformed.append(await _answer("gRPC, 30 numbers", g, _narrow(flights)))
        after = await _answer("a good row", r, _request(flights, 0))
    return Probes(
        batch_rows=BATCH_ROWS,
        alone=alone,
        together=together,
        latency_rounds_ms=latency,
        tolerated=tolerated,
        malformed=malformed,
        after_malformed=after,
        without_token=await _without_token(flights, rest, grpc),
    )


def _request(flights: Flights, begin: int, rows: int = 1) -> Request:
    chosen = slice(begin, begin + rows)
    return Request(f"probe-{uuid4()}", flights.numeric[chosen], flights.category[chosen])


async def _rounds(client: Client, flights: Flights) -> list[float]:
    """p99 in ms of each round of single rows, one after the other."""
    requests = [_request(flights, i % len(flights)) for i in range(WARM_UP + ROUNDS * REQUESTS_A_ROUND)]
    taken = np.empty(len(requests))
    for i, request in enumerate(requests):
        started = time.perf_counter()
        await client.infer(request)
        taken[i] = time.perf_counter() - started
    rounds = taken[WARM_UP:].reshape(ROUNDS, REQUESTS_A_ROUND)
    milliseconds: list[float] = (np.percentile(rounds, 99, axis=1) * 1000).tolist()
    return milliseconds


async def _alone_and_together(client: Client, flights: Flights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of rows spread over one batch, asked alone and read from the batch's answer."""
    batch = await client.infer(_request(flights, 0, BATCH_ROWS))
    chosen = np.linspace(0, BATCH_ROWS - 1, ALONE_ROWS).astype(int).tolist()
    alone = [(await client.infer(_request(flights, i)))[0] for i in chosen]
    return np.array(alone), np.array([batch[i] for i in chosen])


def _odd(flights: Flights) -> dict[str, Request]:
    carrier, weather = _request(flights, 0), _request(flights, 0)
    unknown = carrier.category.copy()
    unknown[0, CATEGORY_NAMES.index("carrier")] = "ZZ"
    missing = weather.numeric.copy()
    missing[0, [NUMERIC_NAMES.index(name) for name in WEATHER]] = np.nan
    return {
        "unknown carrier": Request(carrier.id, carrier.numeric, unknown),
        "missing weather": Request(weather.id, missing, weather.category),
    }


def _malformed(flights: Flights) -> dict[str, bytes]:
    good: dict[str, Any] = msgspec.json.decode(rest_body(_request(flights, 0)))
    numeric, category = good["inputs"]
    data = numeric["data"]
    return {
        "not JSON": b'{"inputs": [',
        "a literal NaN": msgspec.json.encode(good).replace(msgspec.json.encode(data), b"[NaN]"),
        "no category tensor": msgspec.json.encode({**good, "inputs": [numeric]}),
        "an unknown tensor": msgspec.json.encode({**good, "inputs": [{**numeric, "name": "numbers"}, category]}),
        "30 numbers": msgspec.json.encode({**good, "inputs": [{**numeric, "data": data[:30]}, category]}),
        "minute 5,000 of the day": msgspec.json.encode(
            {**good, "inputs": [{**numeric, "data": [5_000, *data[1:]]}, category]}
        ),
    }


def _narrow(flights: Flights) -> Request:
    good = _request(flights, 0)
    return Request(good.id, good.numeric[:, :30], good.category)


async def _without_token(flights: Flights, rest: str, grpc: str) -> list[Answer]:
    answers = []
    for name, token in (("no token", None), ("a wrong token", "wrong")):
        async with RestClient(rest, token) as r, GrpcClient(grpc, token) as g:
            answers += [
                await _answer(f"REST {name}", r, _request(flights, 0)),
                await _answer(f"gRPC {name}", g, _request(flights, 0)),
            ]
    return answers


async def _answer(case: str, client: Client, request: Request) -> Answer:
    async def send() -> str:
        scores = await client.infer(request)
        return ", ".join(f"{score:.4f}" for score in scores)

    return await _told(case, client.protocol, send)


async def _post(case: str, client: RestClient, body: bytes) -> Answer:
    async def send() -> str:
        return str(await client.post(INFER_PATH, body))

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
