"""The client of the serving benchmark: gRPC always, REST where `wrk` is missing. Prints one JSON object."""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import numpy as np

from services.generated import open_inference_pb2 as pb

Send = Callable[[], Awaitable[bool]]
CALL = "/inference.GRPCInferenceService/ModelInfer"


async def run(senders: list[Send], seconds: float) -> dict[str, float]:
    """Every sender sends its next request when it has its answer."""
    times: list[float] = []
    errors = 0
    deadline = time.perf_counter() + seconds

    async def loop(send: Send) -> None:
        nonlocal errors
        while (start := time.perf_counter()) < deadline:
            errors += not await send()
            times.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(loop(send) for send in senders))
    spent = time.perf_counter() - start
    cuts = statistics.quantiles(times, n=100)
    return {
        "count": len(times),
        "rate": round(len(times) / spent, 1),
        "p50_ms": round(cuts[49] * 1e3, 3),
        "p99_ms": round(cuts[98] * 1e3, 3),
        "errors": errors,
    }


async def over_grpc(
    port: int, path: str, body: bytes, token: str, connections: int, seconds: float
) -> dict[str, float]:
    """Raw calls of the protocol's bytes: the client's own encoding is not what is measured."""
    tensors = json.loads(body)["inputs"]
    message = pb.ModelInferRequest(model_name=path.split("/")[3])
    for tensor in tensors:
        message.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
    numbers = np.array([np.nan if v is None else v for v in tensors[0]["data"]], "<f4")
    strings = [value.encode() for value in tensors[1]["data"]]
    message.raw_input_contents.extend([numbers.tobytes(), b"".join(len(s).to_bytes(4, "little") + s for s in strings)])
    payload = message.SerializeToString()
    metadata = (("authorization", f"Bearer {token}"),)
    channels = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(connections)
    ]

    def sender(channel: grpc.aio.Channel) -> Send:
        call: Callable[..., Awaitable[bytes]] = channel.unary_unary(CALL)

        async def send() -> bool:
            return bool(await call(payload, metadata=metadata))

        return send

    try:
        return await run([sender(channel) for channel in channels], seconds)
    finally:
        for channel in channels:
            await channel.close()


async def over_rest(
    port: int, path: str, body: bytes, token: str, connections: int, seconds: float
) -> dict[str, float]:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        f"Content-Length: {len(body)}",
    )
    head = "\r\n".join((*lines, "", "")).encode()
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]

    def sender(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Send:
        async def send() -> bool:
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            return answer.startswith(b"HTTP/1.1 200")

        return send

    try:
        return await run([sender(*stream) for stream in streams], seconds)
    finally:
        for _, writer in streams:
            writer.close()


if __name__ == "__main__":
    kind, port_, path_, body_, token_, connections_, seconds_ = sys.argv[1:]
    content = Path(body_).read_bytes()
    work = (
        over_grpc(int(port_), path_, content, token_, int(connections_), float(seconds_))
        if kind == "grpc"
        else over_rest(int(port_), path_, content, token_, int(connections_), float(seconds_))
    )
    print(json.dumps(asyncio.run(work)))
