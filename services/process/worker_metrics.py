"""The metrics of several workers on one port: each writes its own to files in one folder, the launcher merges them.

The folder is new at each start and goes at the end. What a worker counted stays when it dies, so that no counter
falls; its gauges go.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from contracts.errors import Unavailable


@contextmanager
def merged_metrics(folder: Path, log: Collector, host: str, port: int) -> Iterator[Callable[[int], None]]:
    """Serve the sum of all workers' metrics as long as the block runs.

    Args:
        folder: of the workers' files; empty.
        log: the metrics that no worker has.

    Yields:
        What is to be called with the pid of a worker that died.

    Raises:
        Unavailable: the port is not free.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call] # prometheus-client's
    registry.register(log)
    try:
        server, thread = start_http_server(port, host, registry=registry)
    except OSError as error:
        raise Unavailable(
            f"`metrics_port` must be a free port of {host}, got {port}: {error}; choose another"
        ) from error
    try:
        yield partial(mark_process_dead, path=str(folder))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
