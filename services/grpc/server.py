"""gRPC: the Open Inference Protocol v2, health and reflection on a `grpc.aio` server of our own.

BentoML's services do not speak gRPC, so this one starts in the BentoML worker, on its loop, over the same predictor.
"""

import time
from collections.abc import Sequence
from typing import Final

import grpc
import msgspec
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from contracts.errors import ContractViolation, NotFound
from monitoring.metrics.declared import Metrics
from services.core.admission import LARGE_BYTES, LargeRequests
from services.core.auth import Guard
from services.core.predictor import Predictor
from services.core.request import MAX_BYTES, Answer, PredictionRequest
from services.core.status import STATUS, describe
from services.generated import open_inference_pb2 as pb
from services.generated import open_inference_pb2_grpc as pb_grpc
from services.grpc.auth import SERVICE, Authentication, Context
from services.wire import metadata
from services.wire.json_infer import event_us, routing_key
from services.wire.protocol import check_model, check_outputs
from services.wire.tensors import ModelTensors, Tensor, as_text, assemble

MAX_CONCURRENT: Final = 256  # calls at once; more are refused with RESOURCE_EXHAUSTED
CALL_GRACE_MS: Final = 10_000  # for unanswered calls when their connection has become too old
_CONTENTS: Final = {INPUT_NUMERIC: "fp32_contents", INPUT_CATEGORY: "bytes_contents"}


class Servicer(pb_grpc.GRPCInferenceServiceServicer):
    """The calls of the protocol."""

    def __init__(self, predictor: Predictor, metrics: Metrics, large_requests: LargeRequests) -> None:
        self._predictor = predictor
        self._tensors = ModelTensors(predictor.schema)
        self._large_requests = large_requests
        self._metrics = metrics.of["grpc"]

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:  # noqa: N802, ARG002 - names of the protocol
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:  # noqa: N802, ARG002 - as above
        return pb.ServerReadyResponse(ready=self._predictor.healthy)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:  # noqa: N802 - as above
        await self._check_model(request.name, request.version, context)
        return pb.ModelReadyResponse(ready=self._predictor.healthy)

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Context) -> pb.ServerMetadataResponse:  # noqa: N802, ARG002 - as above
        return pb.ServerMetadataResponse(**msgspec.to_builtins(metadata.server()))

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:  # noqa: N802 - as above
        await self._check_model(request.name, request.version, context)
        return pb.ModelMetadataResponse(**msgspec.to_builtins(metadata.model(self._predictor, self._tensors)))

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802 - as above
        started = time.perf_counter()
        metrics = self._metrics
        metrics.begin()
        try:
            if request.ByteSize() > LARGE_BYTES:
                return await self._large_requests.run(lambda large: self._infer(large, started), request)
            return self._infer(request, started)
        except Exception as error:
            code, text = describe(error)
            metrics.errors[code]()
            await context.abort(STATUS[code][1], text)
            raise  # abort has raised already
        finally:
            metrics.end([time.perf_counter() - started])

    def _infer(self, message: pb.ModelInferRequest, started: float) -> pb.ModelInferResponse:
        predictor = self._predictor
        check_model(predictor, message.model_name, message.model_version)
        request = decode(message, self._tensors, started)
        request.version = message.model_version
        return encode(predictor.predict(request), raw=bool(message.raw_input_contents))

    async def _check_model(self, name: str, version: str, context: Context) -> None:
        try:
            check_model(self._predictor, name, version)
        except NotFound as error:
            await context.abort(STATUS[error.code][1], str(error))


def decode(message: pb.ModelInferRequest, model: ModelTensors, started: float) -> PredictionRequest:
    """A `ModelInferRequest` without its transport.

    Raises:
        InvalidInput: anything that the protocol or the schema refuses. Names the field.
    """
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise ContractViolation(
            f"`raw_input_contents` must have one blob for each of the {len(message.inputs)} inputs, got {len(raw)}"
        )
    if raw and any(item.HasField("contents") for item in message.inputs):
        raise ContractViolation("the inputs must all be raw or all typed, got both; leave `contents` out")
    names = model.category.columns
    tensors = [_tensor(item, raw[index] if raw else None, names) for index, item in enumerate(message.inputs)]
    numeric, category = assemble(tensors, model)
    check_outputs([output.name for output in message.outputs])
    moment = event_us(_parameter(message, "event_time"))
    key = routing_key(_parameter(message, "key"))
    return PredictionRequest("grpc", numeric, category, message.id, moment, started, key=key)


def _parameter(message: pb.ModelInferRequest, name: str) -> object:
    """None: not given."""
    if name not in message.parameters:
        return None
    kind = message.parameters[name].WhichOneof("parameter_choice")
    return None if kind is None else getattr(message.parameters[name], kind)


def _tensor(item: pb.ModelInferRequest.InferInputTensor, raw: bytes | None, names: Sequence[str]) -> Tensor:
    """An input as it came; `names` are the categories, for a refusal."""
    if raw is not None or item.name not in _CONTENTS:
        return Tensor(item.name, item.datatype, item.shape, raw=raw)
    expected = _CONTENTS[item.name]
    others = [field.name for field, _ in item.contents.ListFields() if field.name != expected]
    if others:
        raise ContractViolation(f"`{item.name}` must be given in {expected}, got {', '.join(others)}; move it")
    values = getattr(item.contents, expected)
    if item.name == INPUT_CATEGORY:
        values = [as_text(value, index, names) for index, value in enumerate(values)]
    return Tensor(item.name, item.datatype, item.shape, values=values)


def encode(told: Answer, *, raw: bool) -> pb.ModelInferResponse:
    """The answer, in raw form when the request was."""
    scores = told.scores
    output = pb.ModelInferResponse.InferOutputTensor(name=OUTPUT, datatype="FP32", shape=scores.shape)
    answer = pb.ModelInferResponse(model_name=told.model.name, model_version=told.model.version, id=told.id)
    if told.id != told.prediction_id:
        answer.parameters["prediction_id"].string_param = told.prediction_id
    if raw:
        answer.raw_output_contents.append(scores.astype("<f4", copy=False).tobytes())
    else:
        output.contents.fp32_contents.extend(scores.tolist())
    answer.outputs.append(output)
    return answer


class GrpcServer:
    """Starts and stops with the worker.

    Args:
        connection_seconds: see `ServiceSettings.grpc_connection_seconds`.
        shared_port: other workers listen on it, too, and the kernel spreads connections over them.
        credentials: for TLS; None is plain text.
    """

    def __init__(
        self,
        predictor: Predictor,
        guard: Guard,
        metrics: Metrics,
        large_requests: LargeRequests,
        *,
        address: str,
        connection_seconds: float,
        shared_port: bool,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self._health = health.aio.HealthServicer()
        options = [
            ("grpc.max_receive_message_length", MAX_BYTES),
            ("grpc.so_reuseport", int(shared_port)),  # without it a second listener on the port is an error
        ]
        if connection_seconds:
            options += [
                ("grpc.max_connection_age_ms", round(connection_seconds * 1_000)),
                ("grpc.max_connection_age_grace_ms", CALL_GRACE_MS),
            ]
        self._server = grpc.aio.server(
            interceptors=[Authentication(guard, metrics)], maximum_concurrent_rpcs=MAX_CONCURRENT, options=options
        )
        pb_grpc.add_GRPCInferenceServiceServicer_to_server(  # type: ignore[no-untyped-call] # generated
            Servicer(predictor, metrics, large_requests), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        if credentials is None:
            self._server.add_insecure_port(address)
        else:
            self._server.add_secure_port(address, credentials)

    async def start(self) -> None:
        await self._server.start()
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Health says NOT_SERVING from now on; calls are still answered."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Refuse new calls at once; unanswered ones have `grace` seconds."""
        await self._server.stop(grace)
