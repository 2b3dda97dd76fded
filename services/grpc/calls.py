"""Every call that the server knows, by its name: of the protocol, of health and of reflection.

They take and give bytes. Each is handled as a stream, from which its one message is read here: so the token is checked
before, and bytes that are no protobuf get a refusal of ours.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn, TypeAlias

import grpc
import msgspec
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from contracts.errors import Overloaded
from monitoring.metrics.declared import Metrics
from services.core.auth import Need
from services.core.predictor import Predictor
from services.generated import open_inference_pb2 as pb
from services.grpc.edge import SERVICE, Edge, parse, refuse
from services.grpc.infer import Infer
from services.grpc.threads import Context, Threads
from services.wire import metadata
from services.wire.protocol import check_model
from services.wire.tensors import ModelTensors

MAX_WAITING: Final = 128  # predictions that wait for a thread; more are refused at once
MESSAGE_SECONDS: Final = 1.0  # until a small call's message has come
SMALL_THREADS: Final = 4  # for health, metadata and refusals, which do not wait for predictions
REFLECTION_THREADS: Final = 2  # a client holds one as long as it likes
_INFER: Final = f"/{SERVICE}/ModelInfer"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Answer: TypeAlias = Callable[[Any, Context], Message]


class Calls(grpc.GenericRpcHandler):
    """Finds the handler of a call, on the thread that takes calls in. `threads` are where predictions run."""

    def __init__(self, predictor: Predictor, edge: Edge, metrics: Metrics, infer: Infer, threads: Threads) -> None:
        self._predictor, self._edge, self._threads = predictor, edge, threads
        self._metrics = metrics
        self._tensors = ModelTensors(predictor.schema)
        self._small = ThreadPoolExecutor(SMALL_THREADS, "grpc-small")
        self._reflecting = ThreadPoolExecutor(REFLECTION_THREADS, "grpc-reflection")
        self.health = health.HealthServicer()
        self._reflection = reflection.ReflectionServicer(
            (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        ).ServerReflectionInfo
        self._handlers = self._of_protocol() | self._of_libraries()
        self._handlers[_INFER] = grpc.stream_unary_rpc_method_handler(infer)
        self._refusal: Handler = grpc.stream_unary_rpc_method_handler(_on(self._small, self._refuse_overload))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        method = handler_call_details.method
        if method == _INFER and self._threads.waiting >= MAX_WAITING:
            return self._refusal
        return self._handlers.get(method)

    def close(self) -> None:
        self._small.shutdown()
        self._reflecting.shutdown()

    def _of_protocol(self) -> dict[str, Handler]:
        calls: Mapping[str, tuple[Any, Need | None, Answer]] = {
            "ServerLive": (pb.ServerLiveRequest, None, lambda *_: pb.ServerLiveResponse(live=True)),
            "ServerReady": (pb.ServerReadyRequest, None, self._server_ready),
            "ModelReady": (pb.ModelReadyRequest, "read", self._model_ready),
            "ServerMetadata": (pb.ServerMetadataRequest, "read", self._server_metadata),
            "ModelMetadata": (pb.ModelMetadataRequest, "read", self._model_metadata),
            "ModelConfig": (pb.ModelConfigRequest, "read", self._model_config),
            "ModelStatistics": (pb.ModelStatisticsRequest, "read", self._model_statistics),
        }
        return {f"/{SERVICE}/{name}": self._small_call(*call) for name, call in calls.items()}

    def _of_libraries(self) -> dict[str, Handler]:
        watch = _on(self._small, self._watch)
        watch.experimental_non_blocking = True  # type: ignore[attr-defined] # the library asks functions for it
        return {
            f"/{health.SERVICE_NAME}/Check": self._small_call(health_pb2.HealthCheckRequest, None, self.health.Check),
            f"/{health.SERVICE_NAME}/Watch": grpc.stream_stream_rpc_method_handler(
                watch, response_serializer=lambda answer: answer.SerializeToString()
            ),
            f"/{reflection.SERVICE_NAME}/ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(
                _on(self._reflecting, self._reflect)
            ),
        }

    def _small_call(self, kind: Any, need: Need | None, answer: Answer) -> Handler:
        """The handler of a call with one small message and one answer. `need`: None is no token."""

        def call(messages: Iterator[bytes], context: Context) -> bytes:
            try:
                if need is not None:
                    self._edge.check(context, need)
                message = parse(kind, self._edge.reader.read(messages, context, MESSAGE_SECONDS))
                return answer(message, context).SerializeToString()
            except grpc.RpcError:
                raise
            except Exception as error:  # noqa: BLE001 - the edge of the service
                refuse(context, error)

        return grpc.stream_unary_rpc_method_handler(_on(self._small, call))

    def _watch(self, messages: Iterator[bytes], context: Context, send: Callable[[Any], None]) -> None:
        """Health by and by. Holds no thread: `send` is called at each change."""
        message = parse(health_pb2.HealthCheckRequest, self._edge.reader.read(messages, context, MESSAGE_SECONDS))
        self.health.Watch(message, context, send)

    def _reflect(self, messages: Iterator[bytes], context: Context) -> Iterator[bytes]:
        try:
            self._edge.check(context, "read")
            asked = (parse(reflection_pb2.ServerReflectionRequest, message) for message in messages)
            for answer in self._reflection(asked, context):
                yield answer.SerializeToString()
        except grpc.RpcError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of the service
            refuse(context, error)

    def _refuse_overload(self, _: Iterator[bytes], context: Context) -> NoReturn:
        self._metrics.of["grpc"].errors["overloaded"]()
        refuse(context, Overloaded(f"at most {MAX_WAITING} calls may wait, got one more; try again later"))

    def _server_ready(self, _: pb.ServerReadyRequest, __: Context) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._predictor.healthy)

    def _model_ready(self, asked: pb.ModelReadyRequest, _: Context) -> pb.ModelReadyResponse:
        check_model(self._predictor, asked.name, asked.version)
        return pb.ModelReadyResponse(ready=self._predictor.healthy)

    def _server_metadata(self, _: pb.ServerMetadataRequest, __: Context) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(**msgspec.to_builtins(metadata.server()))

    def _model_metadata(self, asked: pb.ModelMetadataRequest, _: Context) -> pb.ModelMetadataResponse:
        check_model(self._predictor, asked.name, asked.version)
        return pb.ModelMetadataResponse(**msgspec.to_builtins(metadata.model(self._predictor, self._tensors)))

    def _model_config(self, asked: pb.ModelConfigRequest, _: Context) -> pb.ModelConfigResponse:
        check_model(self._predictor, asked.name, asked.version)
        config = metadata.model_config(self._predictor, self._tensors)
        return pb.ModelConfigResponse(config=msgspec.to_builtins(config))

    def _model_statistics(self, asked: pb.ModelStatisticsRequest, _: Context) -> pb.ModelStatisticsResponse:
        check_model(self._predictor, asked.name or self._predictor.name, asked.version)
        found = metadata.statistics(self._predictor, self._metrics, asked.version)
        return pb.ModelStatisticsResponse(**msgspec.to_builtins(found))


def _on(pool: ThreadPoolExecutor, behaviour: Callable[..., Any]) -> Callable[..., Any]:
    """The behaviour of a call, which the library runs on threads of this pool."""

    def run(*given: Any) -> Any:
        return behaviour(*given)

    run.experimental_thread_pool = pool  # type: ignore[attr-defined] # the library asks functions for it
    return run
