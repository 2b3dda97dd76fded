"""Open Inference Protocol v2 over HTTP: its JSON, and the binary tensor extension that stock clients use by default.

A binary request is JSON, then the tensors' bytes one after another; `Inference-Header-Content-Length` says where the
JSON ends, and an input's `binary_data_size` how many bytes are its own.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from contracts.errors import ContractViolation, InvalidInput
from services.core.request import Answer, PredictionRequest, to_us
from services.wire.decode_errors import DecodeErrors, describe_decode_error
from services.wire.infer_bodies import InferAnswer, InferBody, InputTensor, OutputTensor
from services.wire.protocol import check_outputs
from services.wire.tensors import ModelTensors, Tensor, TensorSpec, assemble

_decode_body = msgspec.json.Decoder(InferBody).decode
_encode: Final = msgspec.json.Encoder().encode
_DECODERS: Final[dict[tuple[str, bool], msgspec.json.Decoder[Any]]] = {  # by input, and whether data come by row
    (INPUT_NUMERIC, False): msgspec.json.Decoder(list[float | None]),
    (INPUT_NUMERIC, True): msgspec.json.Decoder(list[list[float | None]]),
    (INPUT_CATEGORY, False): msgspec.json.Decoder(list[str | None]),
    (INPUT_CATEGORY, True): msgspec.json.Decoder(list[list[str | None]]),
}


@dataclass(slots=True)
class InferCall:
    """A decoded request, and whether the answer's tensor is wanted as bytes."""

    request: PredictionRequest
    binary: bool


def decode(body: bytes, header_length: int | None, model: ModelTensors, started: float | None = None) -> InferCall:
    """A request without its transport.

    Args:
        body: JSON, and the tensors' bytes behind it when `header_length` says where it ends.
        started: `perf_counter` at the request's arrival; None is now.

    Raises:
        InvalidInput: anything that the protocol or the schema refuses. Names the field.
    """
    header, blobs = _split(body, header_length)
    try:
        call = _decode_body(header)
    except DecodeErrors as error:
        raise describe_decode_error(error, header, model.numeric.columns) from error
    numeric, category = assemble(_tensors(call.inputs, blobs, model.inputs), model)
    check_outputs([output.name for output in call.outputs])
    binary = call.parameters.get("binary_data_output", False)
    if call.outputs:
        binary = call.outputs[0].parameters.get("binary_data", binary)
    request = PredictionRequest(
        "rest",
        numeric,
        category,
        call.id,
        event_us(call.parameters.get("event_time")),
        time.perf_counter() if started is None else started,
        key=routing_key(call.parameters.get("key")),
    )
    return InferCall(request, binary is True)


def event_us(value: Any) -> int:
    """The caller's clock from a request parameter, microseconds since 1970. 0: not given."""
    if value is None:
        return 0
    try:
        return to_us(msgspec.convert(value, datetime))
    except (msgspec.ValidationError, OverflowError) as error:
        raise InvalidInput(f"`event_time` must be an ISO 8601 instant, got {value!r}; like 2013-07-01T12:00:00Z") from (
            error
        )


def routing_key(value: Any) -> str:
    """The parameter `key`; "": not given."""
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"`key` must be a string, got {value!r}; quote it")
    return value or ""


def _split(body: bytes, header_length: int | None) -> tuple[bytes | memoryview, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not 0 <= header_length <= len(body):
        raise InvalidInput(
            f"`Inference-Header-Content-Length` must be at most the body's {len(body)} bytes, got {header_length}; "
            "it is the length of the JSON part"
        )
    return memoryview(body)[:header_length], memoryview(body)[header_length:]


def _tensors(inputs: list[InputTensor], blobs: memoryview, specs: Mapping[str, TensorSpec]) -> list[Tensor]:
    tensors = []
    position = 0
    for item in inputs:
        size = item.parameters.get("binary_data_size")
        if size is None:
            tensors.append(Tensor(item.name, item.datatype, item.shape, values=_elements(item, specs)))
            continue
        if item.data is not UNSET:
            raise ContractViolation(f"`{item.name}` must have data or binary_data_size, got both; leave one out")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(blobs) - position:
            raise ContractViolation(
                f"`binary_data_size` of `{item.name}` must be at most the {len(blobs) - position} bytes that are left, "
                f"got {size!r}; correct it, or `Inference-Header-Content-Length`"
            )
        tensors.append(Tensor(item.name, item.datatype, item.shape, raw=blobs[position : position + size]))
        position += size
    if position != len(blobs):
        raise ContractViolation(
            f"the inputs must use all of the {len(blobs)} bytes behind the JSON, got a use of {position}; "
            "correct binary_data_size"
        )
    return tensors


def _elements(item: InputTensor, specs: Mapping[str, TensorSpec]) -> list[Any] | None:
    """The decoded `data` of a known input; None for another, which will be refused by its name."""
    if item.name not in specs:
        return None
    if item.data is UNSET:
        raise ContractViolation(f"`data` of `{item.name}` must be given, got nothing; add it")
    data = bytes(item.data)
    by_row = data[1:16].lstrip().startswith(b"[")
    try:
        elements: list[Any] = _DECODERS[item.name, by_row].decode(data)
    except DecodeErrors as error:
        raise describe_decode_error(error, data, specs[item.name].columns) from error
    return elements


def encode(call: InferCall, answer: Answer) -> tuple[bytes, int | None]:
    """The body of the answer, and the length of its JSON part when bytes follow it."""
    if not call.binary:
        return encode_json(answer), None
    raw = answer.scores.astype("<f4", copy=False).tobytes()
    header = _encode(
        _told(answer, OutputTensor(OUTPUT, "FP32", [len(answer.scores)], UNSET, {"binary_data_size": len(raw)}))
    )
    return header + raw, len(header)


def encode_json(answer: Answer) -> bytes:
    """The body of the answer, all of it JSON."""
    scores = answer.scores
    return _encode(_told(answer, OutputTensor(OUTPUT, "FP32", [len(scores)], scores.tolist())))


def _told(answer: Answer, output: OutputTensor) -> InferAnswer:
    told = InferAnswer(answer.model.name, answer.model.version, answer.id, [output])
    if answer.id != answer.prediction_id:
        told.parameters = {"prediction_id": answer.prediction_id}
    return told
