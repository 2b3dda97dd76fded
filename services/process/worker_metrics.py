"""The metrics of several workers on one port: each writes its own to files in one folder, the launcher merges them.

The folder is new at each start and goes at the end, so it never has the files of workers that are gone: a worker that
dies ends the service.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from contracts.errors import Unavailable


@contextmanager
def merged_metrics(folder: Path, host: str, port: int) -> Iterator[None]:
    """Serve the sum of all workers' metrics as long as the block runs.

    Args:
        folder: of the workers' files; is made here.

    Raises:
        Unavailable: the port is not free.
    """
    folder.mkdir()
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call] # prometheus-client's
    try:
        server, thread = start_http_server(port, host, registry=registry)
    except OSError as error:
        raise Unavailable(
            f"`metrics_port` must be a free port of {host}, got {port}: {error}; choose another"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
