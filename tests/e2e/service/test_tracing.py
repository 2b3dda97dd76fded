"""What leads from a number to a request: exemplars, and spans that a real OTLP/HTTP receiver gets."""

import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.support.payloads import proto, records, rows
from tests.support.serving import Server, Store, free_ports, start, wait_until


def exemplars(server: Server) -> dict[tuple[str, str], float]:
    """Protocol and request id of each exemplar of the latency, with its seconds."""
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    with urllib.request.urlopen(urllib.request.Request(server.metrics, headers=accept), timeout=10) as reply:
        assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
        text = reply.read().decode()
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call] # prometheus-client's
    samples = [sample for family in families for sample in family.samples]
    found = [sample for sample in samples if sample.name == "windsock_request_seconds_bucket" and sample.exemplar]
    assert all(sample.exemplar.value <= float(sample.labels["le"]) for sample in found)
    return {(s.labels["protocol"], s.exemplar.labels["request_id"]): s.exemplar.value for s in found}


def call(server: Server, request_id: str, *metadata: tuple[str, str]) -> None:
    """One row over gRPC."""
    token = [("authorization", f"Bearer {server.token}"), *metadata]
    with grpc.insecure_channel(server.grpc) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        stub.ModelInfer(proto(*rows(1), id=request_id), metadata=token)


def test_a_slow_bucket_names_a_request_of_it(server: Server) -> None:
    for number in range(3):
        assert server.ask("/v1/predict", records(*rows(1)) | {"id": f"small {number}"})[0] == 200
    assert server.ask("/v1/predict", records(*rows(800)) | {"id": "large"})[0] == 200
    call(server, "over gRPC")
    found = exemplars(server)
    assert {("rest", "large"), ("grpc", "over gRPC")} <= set(found)
    assert any(name.startswith("small ") for _, name in found)
    assert found["rest", "large"] > 0.001
    with urllib.request.urlopen(server.metrics, timeout=10) as reply:  # what does not ask for it gets none
        assert b"request_id" not in reply.read()


@contextmanager
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """Takes spans as a collector does: its address, and the spans that came."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            message = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in message.resource_spans:
                told = {one.key: one.value.string_value for one in resource.resource.attributes}
                assert told["service.name"] == "windsock"
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{collector.server_port}", spans
        collector.shutdown()
        thread.join()


def told(span: Any) -> dict[str, str | int]:
    """Its attributes, without the prefix."""
    found = {one.key: one.value for one in span.attributes}
    return {
        key.removeprefix("windsock."): value.int_value if value.HasField("int_value") else value.string_value
        for key, value in found.items()
    }


def test_each_request_is_a_span_below_the_client_s(tmp_path: Path, artifact_store: Store) -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    traceparent = f"00-{trace}-{parent}-01"
    with receiver() as (endpoint, spans):
        server = start(tmp_path, artifact_store, otlp_endpoint=endpoint)
        headers = {"traceparent": traceparent}
        server.ask("/v1/predict", records(*rows(2)) | {"id": "small"}, headers=headers)
        server.ask("/v1/predict", records(*rows(800)) | {"id": "large"}, headers=headers)
        server.ask("/v1/predict", records(*rows(1)) | {"id": "alone"})
        server.ask("/v1/predict", b"{", headers=headers)
        server.ask("/v1/labels", {"labels": [{"id": "small", "value": True}]}, headers=headers)
        server.ask(
            "/v1/predict", records(*rows(1)) | {"id": "unsampled"}, headers={"traceparent": traceparent[:-1] + "0"}
        )
        server.ask("/v2/health/ready", headers=headers)
        call(server, "called", ("traceparent", traceparent))
        assert server.stop() == 0
    by_id = {told(span).get("request_id"): span for span in spans if "rows" in told(span)}
    assert set(by_id) == {"small", "large", "alone", "called"}
    model = {"digest": artifact_store.digest, "role": "champion", "code": "ok", "caller": "default"}
    for name, count in (("small", 2), ("large", 800), ("alone", 1), ("called", 1)):
        assert told(by_id[name]) == model | {"rows": count, "request_id": name}
    assert {span.name for span in spans} == {"rest predict", "rest labels", "grpc ModelInfer"}
    (refused,) = [span for span in spans if told(span)["code"] == "invalid_input"]
    below = [span for span in spans if span is not by_id["alone"]]
    assert len(below) == 5
    for span in below:
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (trace, parent)
        assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10e9
        assert abs(span.end_time_unix_nano / 1e9 - time.time()) < 60
    assert by_id["alone"].trace_id.hex() != trace
    assert not by_id["alone"].parent_span_id
    assert refused.status.code == 0  # the client's fault, not the service's


def test_a_receiver_that_is_away_holds_up_nothing(tmp_path: Path, artifact_store: Store) -> None:
    (port,) = free_ports(1)
    server = start(tmp_path, artifact_store, otlp_endpoint=f"http://127.0.0.1:{port}")
    began = time.monotonic()
    for _ in range(200):
        assert server.ask("/v1/predict", records(*rows(1)))[0] == 200
    assert time.monotonic() - began < 10
    began = time.monotonic()
    assert server.stop() == 0, server.log()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("case", ["no packages", "no address"])
def test_refused_start(tmp_path: Path, artifact_store: Store, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if case == "no packages":
        (tmp_path / "without").mkdir()
        (tmp_path / "without/sitecustomize.py").write_text(
            "import sys\nfor name in ('', '.otlp', '.otlp.proto', '.otlp.proto.http'):\n"
            "    sys.modules['opentelemetry.exporter' + name] = None\n"
        )
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'without'}:{Path(__file__).parents[3]}")
    endpoint = "http://127.0.0.1:4318" if case == "no packages" else "collector"
    server = start(tmp_path, artifact_store, wait=False, otlp_endpoint=endpoint)
    wait_until(lambda: server.process.poll() is not None, "the end")
    assert server.process.returncode == 1
    wanted = "`pip install windsock[traces]`" if case == "no packages" else "must be an address like http://"
    assert wanted in server.log()
    assert "Traceback" not in server.log()
