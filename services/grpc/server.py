"""gRPC: the Open Inference Protocol v2, health and reflection on a `grpc.server` of our own, beside BentoML's REST.

Its threads answer over the same predictor. A server on the loop (`grpc.aio`) takes 550 us a call of its own.
"""

import asyncio
from typing import Final

import grpc
from grpc_health.v1 import health_pb2

from monitoring.metrics.declared import Metrics
from services.core.admission import Budget
from services.core.auth import Guard
from services.core.predictor import Predictor
from services.core.request import Trace
from services.grpc.calls import Calls
from services.grpc.edge import SERVICE, Edge
from services.grpc.infer import Infer
from services.grpc.threads import Threads

THREADS: Final = 8  # measured: of 1, 4, 8 and 16 the best for single rows
# gRPC's own usual limit: 8,192 rows of 31 numbers and 3 strings are 1.3 MiB, in either form.
MAX_MESSAGE_BYTES: Final = 4 * 2**20
LOOKAHEAD_BYTES: Final = 256 * 2**10  # of a message that no thread reads yet: 1,024 rows come without a wait
CALL_GRACE_MS: Final = 10_000  # for unanswered calls when their connection has become too old


class GrpcServer:
    """Starts and stops with the worker.

    Args:
        sizes: bytes of bodies that may be in flight, over both protocols together.
        connection_seconds: see `ServiceSettings.grpc_connection_seconds`.
        shared_port: other workers listen on it, too, and the kernel spreads connections over them.
        credentials: for TLS; None is plain text.
        trace: told of each prediction; None: traces are off.
    """

    def __init__(
        self,
        predictor: Predictor,
        guard: Guard,
        metrics: Metrics,
        *,
        sizes: Budget,
        address: str,
        connection_seconds: float,
        shared_port: bool,
        credentials: grpc.ServerCredentials | None = None,
        trace: Trace | None = None,
    ) -> None:
        options = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            # The library would take in as much of what it is not asked for yet as the connection can carry: 64 clients
            # that send 16 MiB each took 1.9 GiB.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", LOOKAHEAD_BYTES),
            ("grpc.so_reuseport", int(shared_port)),  # without it a second listener on the port is an error
        ]
        if connection_seconds:
            options += [
                ("grpc.max_connection_age_ms", round(connection_seconds * 1_000)),
                ("grpc.max_connection_age_grace_ms", CALL_GRACE_MS),
            ]
        self._threads = Threads(THREADS)
        self._edge = Edge(guard)
        infer = Infer(predictor, self._edge, metrics, sizes, trace)
        self._calls = Calls(predictor, self._edge, metrics, infer, self._threads)
        self._server = grpc.server(
            self._threads,  # type: ignore[arg-type] # the library wants no more of it than `submit`
            handlers=[self._calls],
            options=options,
        )
        if credentials is None:
            self._server.add_insecure_port(address)
        else:
            self._server.add_secure_port(address, credentials)

    def start(self) -> None:
        self._server.start()
        self.tell_health(serving=True)

    def tell_health(self, *, serving: bool) -> None:
        """What the health service says. Once drained, it stays at NOT_SERVING."""
        status = health_pb2.HealthCheckResponse
        for name in ("", SERVICE):
            self._calls.health.set(name, status.SERVING if serving else status.NOT_SERVING)

    def drain(self) -> None:
        """Health says NOT_SERVING from now on; calls are still answered."""
        self._calls.health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Refuse new calls at once; unanswered ones have `grace` seconds."""
        await asyncio.to_thread(self._server.stop(grace).wait)
        self._threads.shutdown()
        self._calls.close()
        self._edge.reader.close()
