"""ModelInfer: token, message, bounds, rows, answer."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import grpc

from contracts.errors import DeadlineExceeded
from monitoring.metrics.declared import Metrics
from services.core.admission import Budget
from services.core.predictor import Predictor
from services.core.refusals import refused
from services.core.request import Answer, Trace
from services.core.status import describe
from services.generated import open_inference_pb2 as pb
from services.grpc.edge import Edge, abort, parse
from services.grpc.messages import decode, encode
from services.grpc.threads import Context
from services.wire.protocol import check_model
from services.wire.tensors import ModelTensors

MESSAGE_SECONDS: Final = 10.0  # until a message has come


@dataclass(slots=True)
class _Seen:
    """What is known of a call by now."""

    started: float  # `perf_counter` when its message was complete; at first, when it began
    caller: str = ""
    request_id: str = ""
    code: str = "ok"
    answer: Answer | None = None


class Infer:
    """Answers predictions. Thread-safe.

    Args:
        sizes: bytes that may be in flight; see `ServiceSettings.max_bytes_in_flight`.
        trace: told of each call; None: traces are off.
    """

    def __init__(self, predictor: Predictor, edge: Edge, metrics: Metrics, sizes: Budget, trace: Trace | None) -> None:
        self._trace = trace
        self._predictor, self._edge, self._sizes = predictor, edge, sizes
        self._tensors = ModelTensors(predictor.schema)
        self._metrics = metrics.of["grpc"]

    def __call__(self, messages: Iterator[bytes], context: Context) -> bytes:
        seen = _Seen(time.perf_counter())
        metrics = self._metrics
        metrics.begin()
        try:
            return self._answer(messages, context, seen)
        except grpc.RpcError:  # the client has gone, or the message was too large
            seen.code = "deadline_exceeded"
            metrics.errors["deadline_exceeded"]()
            raise
        except Exception as error:  # noqa: BLE001 - the edge of the service: whatever it is, the client gets an answer
            code, text = describe(error)
            seen.code = code
            took = round((time.perf_counter() - seen.started) * 1e6)
            refused("grpc", code, text, seen.request_id, seen.caller, took)
            metrics.errors[code]()
            abort(context, code, text)
        finally:
            if self._trace is not None:
                self._tell(self._trace, context, seen)
            metrics.end([(time.perf_counter() - seen.started, "" if seen.answer is None else seen.answer.id)])

    def _tell(self, trace: Trace, context: Context, seen: _Seen) -> None:
        parent = next((value for name, value in context.invocation_metadata() if name == "traceparent"), "")
        trace(
            "grpc ModelInfer",
            seen.started,
            seen.code,
            answer=seen.answer,
            request_id=seen.request_id if seen.answer is None else seen.answer.id,
            caller=seen.caller,
            parent=parent if isinstance(parent, str) else "",
        )

    def _answer(self, messages: Iterator[bytes], context: Context, seen: _Seen) -> bytes:
        check_awaited(context)  # it may have waited for this thread
        caller = self._edge.check(context, "predict")
        seen.caller = caller.name
        content = self._edge.reader.read(messages, context, MESSAGE_SECONDS)
        seen.started = time.perf_counter()
        with self._sizes.holding(len(content)):
            message = parse(pb.ModelInferRequest, content)
            seen.request_id = message.id
            check_model(self._predictor, message.model_name, message.model_version)
            request = decode(message, self._tensors, seen.started, caller.name)
            request.probe = caller.probe
            caller.take(len(request.numeric))
            check_awaited(context)
            seen.answer = self._predictor.predict(request)
            return encode(seen.answer, raw=bool(message.raw_input_contents)).SerializeToString()


def check_awaited(context: Context) -> None:
    """Refuse to score what nobody waits for any more.

    Raises:
        DeadlineExceeded: the call's time is over, or it is cancelled.
    """
    remaining = context.time_remaining()
    if (remaining is not None and remaining <= 0) or not context.is_active():
        raise DeadlineExceeded("a call must be answered before its deadline, got an end before; give it more time")
