"""The gRPC side of the service: the Open Inference Protocol, health, reflection, and what each bad call gets."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.core.request import MAX_ROWS
from services.generated import open_inference_pb2 as pb
from services.generated import open_inference_pb2_grpc as pb_grpc
from services.grpc.server import MAX_MESSAGE_BYTES
from tests.support.payloads import INFER, json_body, proto, rows
from tests.support.serving import Server

NUMERIC, CATEGORY = rows(1)
Code = grpc.StatusCode


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> Any:
    return pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated


@pytest.fixture(scope="module")
def token(server: Server) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {server.token}")]


def scores(answer: pb.ModelInferResponse) -> list[float]:
    if answer.raw_output_contents:
        numbers: list[float] = np.frombuffer(answer.raw_output_contents[0], "<f4").tolist()
        return numbers
    return list(answer.outputs[0].contents.fp32_contents)


def refusal(call: Callable[[], object], code: grpc.StatusCode) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value  # a `grpc.Call`, too
    assert error.code() == code, error.details()
    details: str = error.details()
    assert "Traceback" not in details
    return details


def test_rest_and_grpc_agree_in_both_forms(server: Server, stub: Any, token: Any) -> None:
    numeric, category = rows(40, seed=1)
    rest = json.loads(server.ask(INFER, json_body(numeric, category))[1])["outputs"][0]["data"]
    raw = stub.ModelInfer(proto(numeric, category), metadata=token)
    typed = stub.ModelInfer(proto(numeric, category, raw=False), metadata=token)
    assert raw.raw_output_contents  # raw was asked, raw is answered
    assert not raw.outputs[0].HasField("contents")
    assert not typed.raw_output_contents
    assert scores(raw) == pytest.approx(rest, abs=1e-6)
    assert scores(typed) == pytest.approx(rest, abs=1e-6)
    assert list(raw.outputs[0].shape) == [40]
    assert raw.outputs[0].datatype == "FP32"


def test_metadata_is_the_same_on_both(server: Server, stub: Any, token: Any) -> None:
    rest = json.loads(server.ask("/v2/models/flight-delay")[1])
    model = stub.ModelMetadata(pb.ModelMetadataRequest(name="flight-delay"), metadata=token)
    assert (model.name, list(model.versions), model.platform) == (rest["name"], rest["versions"], rest["platform"])
    for mine, other in ((model.inputs, rest["inputs"]), (model.outputs, rest["outputs"])):
        assert [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in mine] == other
    about = stub.ServerMetadata(pb.ServerMetadataRequest(), metadata=token)
    assert list(about.extensions) == json.loads(server.ask("/v2")[1])["extensions"]
    assert stub.ModelReady(pb.ModelReadyRequest(name="flight-delay", version=model.versions[0]), metadata=token).ready


def test_the_configuration_says_what_a_request_may_have(server: Server, stub: Any, token: Any) -> None:
    config = stub.ModelConfig(pb.ModelConfigRequest(name="flight-delay"), metadata=token).config
    model = stub.ModelMetadata(pb.ModelMetadataRequest(name="flight-delay"), metadata=token)
    assert (config.name, config.platform, config.max_batch_size) == (model.name, model.platform, MAX_ROWS)
    # The rows are the batch: they are not among the dimensions.
    assert [(t.name, [-1, *t.dims]) for t in config.input] == [(t.name, list(t.shape)) for t in model.inputs]
    assert [pb.DataType.Name(t.data_type) for t in config.input] == ["TYPE_FP32", "TYPE_STRING"]
    assert ParseDict(json.loads(server.ask("/v2/models/flight-delay/config")[1]), pb.ModelConfig()) == config
    (output,) = config.output
    assert (output.name, [-1, *output.reshape.shape]) == (model.outputs[0].name, list(model.outputs[0].shape))


def test_statistics_count_requests_rows_and_time(server: Server, stub: Any, token: Any) -> None:
    def statistics(**of: str) -> pb.ModelStatistics:
        (found,) = stub.ModelStatistics(pb.ModelStatisticsRequest(**of), metadata=token).model_stats
        return found  # type: ignore[no-any-return] # the stub is generated without types

    (version,) = stub.ModelMetadata(pb.ModelMetadataRequest(name="flight-delay"), metadata=token).versions
    before = statistics(name="flight-delay")
    for count in (1, 1_500):  # the second in two runs
        stub.ModelInfer(proto(*rows(count)), metadata=token)
    refusal(lambda: stub.ModelInfer(pb.ModelInferRequest(), metadata=token), Code.NOT_FOUND)
    after = statistics()
    assert statistics(name="flight-delay", version=version) == after
    assert (after.name, int(after.version)) == ("flight-delay", int(version, 16))
    assert after.inference_count - before.inference_count == 1_501
    assert after.execution_count - before.execution_count == 3
    assert 0 <= time.time() - after.last_inference / 1_000 < 60
    old, new = before.inference_stats, after.inference_stats
    assert new.success.count - old.success.count == 2
    assert new.fail.count - old.fail.count == 1
    spent = {name: getattr(new, name).ns - getattr(old, name).ns for name in ("success", "queue", "compute_infer")}
    assert spent["success"] == spent["queue"] + spent["compute_infer"]
    assert all(0 < nanoseconds < 60e9 for nanoseconds in spent.values())
    told = json.loads(server.ask(f"/v2/models/flight-delay/versions/{version}/stats")[1])["model_stats"]
    assert [(one["version"], one["inference_count"]) for one in told] == [(after.version, after.inference_count)]
    assert told[0]["inference_stats"]["success"] == {"count": new.success.count, "ns": new.success.ns}
    assert server.ask("/v2/models/flight-delay/versions/1/stats")[0] == 404
    refusal(lambda: statistics(name="other"), Code.NOT_FOUND)
    refusal(lambda: statistics(name="flight-delay", version="1"), Code.NOT_FOUND)


def test_id_and_version_come_back(stub: Any, token: Any) -> None:
    answer = stub.ModelInfer(proto(NUMERIC, CATEGORY, id="mine"), metadata=token)
    assert answer.id == "mine"
    again = stub.ModelInfer(proto(NUMERIC, CATEGORY, model_version=answer.model_version), metadata=token)
    assert again.model_version == answer.model_version
    assert again.id


def test_health_is_open(stub: Any, channel: grpc.Channel) -> None:
    assert stub.ServerLive(pb.ServerLiveRequest()).live
    assert stub.ServerReady(pb.ServerReadyRequest()).ready
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", "inference.GRPCInferenceService"):
        status = health.Check(health_pb2.HealthCheckRequest(service=name)).status
        assert status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_service_to_those_with_a_token(channel: grpc.Channel, token: Any) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = [reflection_pb2.ServerReflectionRequest(list_services="")]
    names = {s.name for reply in stub.ServerReflectionInfo(iter(ask), metadata=token)
             for s in reply.list_services_response.service}  # fmt: skip
    assert "inference.GRPCInferenceService" in names
    refusal(lambda: list(stub.ServerReflectionInfo(iter(ask))), Code.UNAUTHENTICATED)


@pytest.mark.parametrize("metadata", [[], [("authorization", "Bearer wrong")], [("authorization", "")]])
def test_no_token_no_answer(stub: Any, metadata: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: stub.ModelInfer(proto(NUMERIC, CATEGORY), metadata=metadata),
        lambda: stub.ModelMetadata(pb.ModelMetadataRequest(name="flight-delay"), metadata=metadata),
        lambda: stub.ModelReady(pb.ModelReadyRequest(name="flight-delay"), metadata=metadata),
        lambda: stub.ServerMetadata(pb.ServerMetadataRequest(), metadata=metadata),
        lambda: stub.ModelConfig(pb.ModelConfigRequest(name="flight-delay"), metadata=metadata),
        lambda: stub.ModelStatistics(pb.ModelStatisticsRequest(), metadata=metadata),
    ]
    for call in calls:
        assert "authorization" in refusal(call, Code.UNAUTHENTICATED)


@pytest.mark.parametrize(("name", "version"), [("other", ""), ("flight-delay", "1"), ("", "")])
def test_unknown_model_or_version(stub: Any, token: Any, name: str, version: str) -> None:
    message = proto(NUMERIC, CATEGORY)
    message.model_name, message.model_version = name, version
    refusal(lambda: stub.ModelInfer(message, metadata=token), Code.NOT_FOUND)
    for call, request in (
        (stub.ModelReady, pb.ModelReadyRequest(name=name, version=version)),
        (stub.ModelMetadata, pb.ModelMetadataRequest(name=name, version=version)),
    ):
        refusal(lambda call=call, request=request: call(request, metadata=token), Code.NOT_FOUND)  # type: ignore[misc] # mypy cannot infer a lambda's defaults


def _absent(m: pb.ModelInferRequest) -> None:
    del m.inputs[1]
    del m.raw_input_contents[1:]


def _twice(m: pb.ModelInferRequest) -> None:
    m.inputs[1].CopyFrom(m.inputs[0])
    m.raw_input_contents[1] = m.raw_input_contents[0]


def _infinite(m: pb.ModelInferRequest) -> None:
    numeric = NUMERIC.copy()
    numeric[0, 7] = -np.inf
    m.raw_input_contents[0] = numeric.tobytes()


def _shape(m: pb.ModelInferRequest, *shape: int) -> None:
    m.inputs[0].shape[:] = shape


BAD_RAW: dict[str, tuple[Callable[[pb.ModelInferRequest], Any], str]] = {
    "absent": (_absent, "`category` must be given"),
    "unknown": (lambda m: setattr(m.inputs[0], "name", "nonsense"), "`nonsense`"),
    "twice": (_twice, "`numeric` must be given once"),
    "datatype": (lambda m: setattr(m.inputs[0], "datatype", "FP64"), "`numeric` must have datatype FP32"),
    "no datatype": (lambda m: setattr(m.inputs[0], "datatype", ""), "`numeric` must have datatype FP32"),
    "rank": (lambda m: _shape(m, 31), "`numeric` must have shape [n, 31]"),
    "width": (lambda m: _shape(m, 1, 30), "`numeric` must have shape [n, 31]"),
    "negative": (lambda m: _shape(m, -1, 31), "`numeric` must have shape [n, 31]"),
    "no rows": (lambda m: _shape(m, 0, 31), "`numeric` must have shape [n, 31]"),
    "rows differ": (lambda m: _shape(m, 2, 31), "same number of rows"),
    "bytes": (lambda m: m.raw_input_contents.__setitem__(0, b"123"), "`numeric` must have 124 bytes"),
    "strings": (lambda m: m.raw_input_contents.__setitem__(1, b"\x02\0\0\0UA"), "`category` must have 3 elements"),
    "blobs": (lambda m: m.raw_input_contents.pop(), "`raw_input_contents` must have one blob"),
    "mixed": (lambda m: m.inputs[0].contents.fp32_contents.extend([1.0] * 31), "all be raw or all typed"),
    "infinite": (_infinite, "`temp` must be between"),
    "id": (lambda m: setattr(m, "id", "x" * 129), "`id` must be 1 to 128"),
    "output": (lambda m: m.outputs.add(name="logit"), "`outputs` must name `probability`"),
    "event_time": (lambda m: setattr(m.parameters["event_time"], "string_param", "noon"), "`event_time`"),
    "key": (lambda m: setattr(m.parameters["key"], "string_param", "x" * 257), "`key` must have at most 256"),
    "key, a number": (lambda m: setattr(m.parameters["key"], "int64_param", 5), "`key` must be a string"),
    "event_time, a number": (lambda m: setattr(m.parameters["event_time"], "int64_param", 5), "`event_time`"),
}


@pytest.mark.parametrize("case", BAD_RAW)
def test_bad_raw_calls_are_refused_by_name(stub: Any, token: Any, case: str) -> None:
    change, expected = BAD_RAW[case]
    message = proto(NUMERIC, CATEGORY)
    change(message)
    assert expected in refusal(lambda: stub.ModelInfer(message, metadata=token), Code.INVALID_ARGUMENT)


BAD_TYPED: dict[str, tuple[Callable[[pb.ModelInferRequest], Any], str]] = {
    "no contents": (lambda m: m.inputs[0].ClearField("contents"), "`numeric` must have 31 elements"),
    "too few": (lambda m: m.inputs[0].contents.fp32_contents.pop(), "`numeric` must have 31 elements"),
    "another field": (lambda m: m.inputs[0].contents.fp64_contents.append(1), "`numeric` must be given in fp32"),
    "not UTF-8": (lambda m: m.inputs[1].contents.bytes_contents.__setitem__(1, b"\xff"), "`origin` must be UTF-8"),
    "too long": (lambda m: m.inputs[1].contents.bytes_contents.__setitem__(2, b"x" * 17), "`dest` must have at most"),
    "required": (lambda m: m.inputs[0].contents.fp32_contents.__setitem__(2, np.nan), "`distance` must be between"),
}


@pytest.mark.parametrize("case", BAD_TYPED)
def test_bad_typed_calls_are_refused_by_name(stub: Any, token: Any, case: str) -> None:
    change, expected = BAD_TYPED[case]
    message = proto(NUMERIC, CATEGORY, raw=False)
    change(message)
    assert expected in refusal(lambda: stub.ModelInfer(message, metadata=token), Code.INVALID_ARGUMENT)


def test_too_many_rows_or_bytes(stub: Any, token: Any) -> None:
    message = proto(NUMERIC, CATEGORY)
    message.inputs[0].shape[0] = MAX_ROWS + 1
    refusal(lambda: stub.ModelInfer(message, metadata=token), Code.RESOURCE_EXHAUSTED)
    message.raw_input_contents[0] = b"0" * (MAX_MESSAGE_BYTES + 1)
    refusal(lambda: stub.ModelInfer(message, metadata=token), Code.RESOURCE_EXHAUSTED)
    message.raw_input_contents[0] = b"0" * (MAX_MESSAGE_BYTES - 2**10)  # is read, and refused for its rows
    message.inputs[0].shape[0] = 1
    refusal(lambda: stub.ModelInfer(message, metadata=token), Code.INVALID_ARGUMENT)


@pytest.mark.parametrize("raw", [True, False])
def test_as_many_rows_as_allowed(stub: Any, token: Any, raw: bool) -> None:
    numeric, category = rows(MAX_ROWS)
    many = scores(stub.ModelInfer(proto(numeric, category, raw=raw), metadata=token))
    one = scores(stub.ModelInfer(proto(numeric[-1:], category[-1:]), metadata=token))
    assert many[-1:] == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize("name", ["ModelInfer", "ModelMetadata", "ServerMetadata"])
def test_bytes_that_are_no_protobuf_are_refused_without_a_stack_trace_in_the_log(
    server: Server, channel: grpc.Channel, token: Any, name: str
) -> None:
    call: Any = channel.unary_unary(f"/inference.GRPCInferenceService/{name}")
    before = server.log()
    for content in (b"\xff" * 5, b"not a protobuf"):
        said = refusal(lambda content=content: call(content, metadata=token), Code.INVALID_ARGUMENT)  # type: ignore[misc] # mypy cannot infer a lambda's defaults
        assert f"must be a protobuf inference.{name}Request, got {len(content)} bytes that are none" in said
    refusal(lambda: call(b"\xff"), Code.UNAUTHENTICATED)
    lines = server.log()[len(before) :].splitlines()  # at most one a second and kind
    assert all(json.loads(line)["event"].startswith("refused: ") for line in lines), lines


def test_the_token_is_checked_before_the_message_is_read(channel: grpc.Channel) -> None:
    """So nobody without one makes the service hold a thread, or bytes."""
    call: Any = channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
    never = threading.Event()

    def messages() -> Iterator[bytes]:
        never.wait(20)
        yield b""

    try:
        refusal(lambda: call(messages(), timeout=10), Code.UNAUTHENTICATED)
    finally:
        never.set()


def test_calls_whose_message_does_not_come_end_and_hold_nobody_up(
    server: Server, stub: Any, channel: grpc.Channel, token: Any
) -> None:
    """More of them than there are threads for small calls, and no token is asked for."""
    call: Any = channel.stream_unary("/grpc.health.v1.Health/Check")
    never = threading.Event()

    def messages() -> Iterator[bytes]:
        never.wait(30)
        yield b""

    held = [call.future(messages(), timeout=30) for _ in range(8)]
    try:
        assert stub.ServerReady(pb.ServerReadyRequest(), timeout=10).ready
        assert [one.code() for one in held] == [Code.CANCELLED] * 8
    finally:
        never.set()
