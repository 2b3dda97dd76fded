"""OpenTelemetry spans over OTLP/HTTP: one a request, sent in batches by a thread of the library's. Off by default."""

import os
import time
from importlib.metadata import version
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

from contracts.errors import ParameterError
from contracts.settings import ServiceSettings
from services.core.request import Answer, Trace

SEND_SECONDS: Final = 2.0  # for a batch, its repetitions included; also what the end of the service may wait for it
QUEUE: Final = 8_192  # spans that wait for the receiver; more are dropped, which the library reports
_FAULTS: Final = frozenset(("internal", "unavailable", "failed_precondition", "deadline_exceeded"))


def check_tracing(settings: ServiceSettings) -> None:
    """Refuse an endpoint that cannot be one, or without the packages for it.

    Raises:
        ParameterError: says what to install or to correct.
    """
    if not settings.otlp_endpoint:
        return
    if urlsplit(settings.otlp_endpoint).scheme not in ("http", "https"):
        raise ParameterError(
            f"`otlp_endpoint` must be an address like http://127.0.0.1:4318, got {settings.otlp_endpoint!r}; correct it"
        )
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise ParameterError(
            "`otlp_endpoint` must be empty without the packages of the extra `traces`, got an address; "
            "`pip install windsock[traces]`, or leave it out"
        )


def start_tracing(settings: ServiceSettings) -> "Tracing | None":
    """None: the settings name no endpoint."""
    check_tracing(settings)
    return Tracing(settings.otlp_endpoint) if settings.otlp_endpoint else None


class Tracing(Trace):
    """Makes a span of each request that ended. Thread-safe.

    Args:
        endpoint: of the receiver; without a path it is `/v1/traces`, as OpenTelemetry's own variable has it.
    """

    def __init__(self, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        url = endpoint if urlsplit(endpoint).path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
        told: dict[str, str | int] = {
            "service.name": "windsock",
            "service.version": version("windsock"),
            "process.pid": os.getpid(),
        }
        exporter = OTLPSpanExporter(url, timeout=SEND_SECONDS)
        self._provider = TracerProvider(resource=Resource.create(told), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE))
        self._start = self._provider.get_tracer("windsock").start_span
        self._extract = TraceContextTextMapPropagator().extract
        self._kind, self._error = SpanKind.SERVER, StatusCode.ERROR

    def __call__(
        self, name: str, started: float, code: str, *, answer: Answer | None, request_id: str, caller: str, parent: str
    ) -> None:
        end = time.time_ns()
        begin = end - round((time.perf_counter() - started) * 1e9)
        attributes: dict[str, str | int] = {"code": code, "request_id": request_id, "caller": caller}
        if answer is not None:
            attributes |= {"rows": len(answer.scores), "digest": answer.model.digest, "role": answer.role}
        context = self._extract({"traceparent": parent}) if parent else None
        told = {f"windsock.{key}": value for key, value in attributes.items() if value != ""}
        span = self._start(name, context, self._kind, told, start_time=begin)
        if code in _FAULTS:
            span.set_status(self._error)
        span.end(end)

    def stop(self) -> None:
        """Send what waits, if the receiver takes it in time."""
        self._provider.shutdown()
