"""Large requests: one at a time, and who waits is counted."""

import asyncio
import threading

import pytest

from monitoring.metrics.declared import Metrics
from services.core.admission import LargeRequests
from tasks.flights.schema import SCHEMA


def waiting(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("windsock_queued_batches")


def test_one_runs_and_the_others_are_counted() -> None:
    metrics = Metrics(SCHEMA)
    large_requests = LargeRequests(metrics)
    started, go_on = threading.Event(), threading.Event()

    def work(number: int) -> int:
        started.set()
        assert go_on.wait(30)
        return number

    async def main() -> None:
        tasks = [asyncio.create_task(large_requests.run(work, number)) for number in range(4)]
        await asyncio.to_thread(started.wait, 30)
        assert waiting(metrics) == 3
        tasks[3].cancel()  # a client that gives up leaves the queue
        with pytest.raises(asyncio.CancelledError):
            await tasks[3]
        assert waiting(metrics) == 2
        go_on.set()
        assert await asyncio.gather(*tasks[:3]) == [0, 1, 2]
        assert waiting(metrics) == 0

    asyncio.run(main())


def test_errors_reach_who_waits() -> None:
    metrics = Metrics(SCHEMA)

    def fail(_: int) -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(LargeRequests(metrics).run(fail, 1))
    assert waiting(metrics) == 0
