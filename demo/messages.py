"""What the two clients put on the wire, in the forms that differ most: JSON over REST, raw bytes over gRPC."""

import struct
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC
from contracts.schema import Category, Numeric
from services.generated import open_inference_pb2 as pb


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request of n rows, before a client brings it into its protocol's form.

    Attributes:
        numeric: float32 [n, k], NaN is missing.
        category: str [n, c], "" is missing.
        event_time: ISO 8601 in UTC; None is now.
    """

    id: str
    numeric: Numeric
    category: Category
    event_time: str | None = None


def rest_body(request: ClientRequest) -> bytes:
    """JSON tensors. msgspec writes NaN as `null`, and a float32 with the digits that give it back exactly."""
    n = len(request.numeric)
    return msgspec.json.encode(
        {
            "id": request.id,
            "parameters": {"event_time": request.event_time} if request.event_time else {},
            "inputs": [
                {
                    "name": INPUT_NUMERIC,
                    "datatype": "FP32",
                    "shape": [n, request.numeric.shape[1]],
                    "data": request.numeric.ravel().tolist(),
                },
                {
                    "name": INPUT_CATEGORY,
                    "datatype": "BYTES",
                    "shape": [n, request.category.shape[1]],
                    "data": request.category.ravel().tolist(),
                },
            ],
        }
    )


def grpc_message(request: ClientRequest, model: str) -> Any:
    """A ModelInferRequest with raw little-endian contents."""
    n = len(request.numeric)
    message = pb.ModelInferRequest(model_name=model, id=request.id)
    if request.event_time:
        message.parameters["event_time"].string_param = request.event_time
    message.inputs.add(name=INPUT_NUMERIC, datatype="FP32", shape=[n, request.numeric.shape[1]])
    message.inputs.add(name=INPUT_CATEGORY, datatype="BYTES", shape=[n, request.category.shape[1]])
    message.raw_input_contents.append(np.ascontiguousarray(request.numeric, "<f4").tobytes())
    strings = [value.encode() for value in request.category.ravel().tolist()]
    message.raw_input_contents.append(b"".join(struct.pack("<I", len(s)) + s for s in strings))
    return message
