"""The token over gRPC: one interceptor in front of every call."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc

from monitoring.metrics.declared import Metrics
from services.core.auth import Guard, Need
from services.core.status import STATUS, describe
from services.generated import open_inference_pb2 as pb

SERVICE: Final = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
_OPEN: Final = (f"/{SERVICE}/ServerLive", f"/{SERVICE}/ServerReady", "/grpc.health.v1.Health/")

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]"


class Authentication(grpc.aio.ServerInterceptor):
    """Asks every call but health for the token: `authorization: Bearer <token>` in its metadata."""

    def __init__(self, guard: Guard, metrics: Metrics) -> None:
        self._guard = guard
        self._metrics = metrics.of["grpc"]

    async def intercept_service(
        self,
        continuation: Continuation,
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        if not handler_call_details.method.startswith(_OPEN):
            given = dict(handler_call_details.invocation_metadata or ()).get("authorization")
            try:
                need: Need = "predict" if handler_call_details.method == f"/{SERVICE}/ModelInfer" else "read"
                self._guard.check(given.encode() if isinstance(given, str) else given, need)
            except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
                code, text = describe(error)
                if handler_call_details.method == f"/{SERVICE}/ModelInfer":
                    self._metrics.errors[code]()
                return await _refusing(continuation, handler_call_details, STATUS[code][1], text)
        return await continuation(handler_call_details)


async def _refusing(
    continuation: Continuation,
    details: grpc.HandlerCallDetails,
    code: grpc.StatusCode,
    text: str,
) -> Handler:
    """A handler of the kind of call that the client made (one answer or a stream), which only refuses."""

    async def refuse(_: Any, context: Context) -> None:
        await context.abort(code, text)

    handler = await continuation(details)
    if handler is not None and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse)
    return grpc.unary_unary_rpc_method_handler(refuse)
