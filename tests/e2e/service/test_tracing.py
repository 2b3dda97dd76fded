"""What leads from a number to a request: exemplars."""

import urllib.request

import grpc
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.support.payloads import proto, records, rows
from tests.support.serving import Server


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


def call(server: Server, request_id: str) -> None:
    """One row over gRPC."""
    token = [("authorization", f"Bearer {server.token}")]
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
