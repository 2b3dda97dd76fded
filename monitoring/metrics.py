"""Every Prometheus metric of the service, declared once. All label sets exist from the start, so a rate over an
error that has not happened yet is zero and not absent."""

from collections.abc import Callable
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from contracts.errors import Code

Protocol = Literal["rest", "grpc"]
LATENCY_EDGES: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)  # seconds; .02 is the target


class Metrics:
    """One set of metrics on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "windsock_requests", "Prediction requests, answered or refused.", ["protocol"], registry=self.registry
        )
        self._rows = Counter("windsock_rows", "Rows that were scored.", ["protocol"], registry=self.registry)
        self._errors = Counter(
            "windsock_errors", "Requests that were refused or failed.", ["protocol", "code"], registry=self.registry
        )
        self._seconds = Histogram(
            "windsock_request_seconds",
            "From the arrival of a prediction request's last byte to its answer.",
            ["protocol"],
            buckets=LATENCY_EDGES,
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "windsock_in_flight_requests", "Requests being answered.", ["protocol"], registry=self.registry
        )
        self.pending_rows = Gauge(
            "windsock_spool_pending_rows", "Spooled rows not yet in the database.", registry=self.registry
        )
        self._model = Info("windsock_model", "The model that is served.", registry=self.registry)
        protocols: tuple[Protocol, ...] = get_args(Protocol)
        self.of: dict[Protocol, ProtocolMetrics] = {
            protocol: ProtocolMetrics(
                requests=self._requests.labels(protocol).inc,
                rows=self._rows.labels(protocol).inc,
                errors={code: self._errors.labels(protocol, code).inc for code in get_args(Code)},
                seconds=self._seconds.labels(protocol).observe,
                in_flight=self._in_flight.labels(protocol).inc,
            )
            for protocol in protocols
        }

    def set_model(self, name: str, digest: str) -> None:
        self._model.info({"name": name, "digest": digest})


class ProtocolMetrics:
    """The metrics of one protocol with their labels bound: a label lookup costs as much as the update itself."""

    __slots__ = ("errors", "in_flight", "requests", "rows", "seconds")

    def __init__(
        self,
        requests: Callable[[], None],
        rows: Callable[[float], None],
        errors: dict[Code, Callable[[], None]],
        seconds: Callable[[float], None],
        in_flight: Callable[[float], None],
    ) -> None:
        self.requests = requests
        self.rows = rows
        self.errors = errors
        self.seconds = seconds
        self.in_flight = in_flight
