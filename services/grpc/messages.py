"""`ModelInferRequest` -> `PredictionRequest`, `Answer` -> `ModelInferResponse`; both without their transport."""

from collections.abc import Sequence
from typing import Final

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from contracts.errors import ContractViolation
from services.core.request import Answer, PredictionRequest
from services.generated import open_inference_pb2 as pb
from services.wire.json_infer import event_us, routing_key
from services.wire.protocol import check_outputs
from services.wire.tensors import ModelTensors, Tensor, as_text, assemble

_CONTENTS: Final = {INPUT_NUMERIC: "fp32_contents", INPUT_CATEGORY: "bytes_contents"}


def decode(message: pb.ModelInferRequest, model: ModelTensors, started: float, caller: str = "") -> PredictionRequest:
    """The rows of a call.

    Args:
        started: `perf_counter` when the message was complete.
        caller: name of the token.

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
    moment, key = 0, ""
    if message.parameters:
        moment = event_us(_parameter(message, "event_time"))
        key = routing_key(_parameter(message, "key"))
    return PredictionRequest(
        "grpc", numeric, category, message.id, moment, started, caller, version=message.model_version, key=key
    )


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
