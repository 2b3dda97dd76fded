"""Bodies of the Open Inference Protocol v2 over HTTP, and what the OpenAPI document says of them.

Members and parameters that this service does not know are ignored, as stock servers do: clients send `model_name`.
What stands in `extra_json_schema` is documented here and checked where the refusal can name it: in `assemble`,
`check_outputs` and services/wire/json_infer.py.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from services.core.request import MAX_KEY_LENGTH, MAX_ROWS
from services.wire.members import INSTANT, NewRequestId

Parameters = dict[str, Any]
_INPUTS: Final = [INPUT_NUMERIC, INPUT_CATEGORY]
_SIZE: Final = {"type": ["integer", "null"], "minimum": 0, "description": "bytes behind the JSON that are this input's"}
_OF_REQUEST: Final = {
    "event_time": {"type": ["string", "null"]} | INSTANT,
    "key": {"type": ["string", "null"], "maxLength": MAX_KEY_LENGTH},
}
_ELEMENTS: Final = {"type": "array", "description": "elements, flat or by row; null is missing"}
_RowCount = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": MAX_ROWS})]


class InputTensor(msgspec.Struct):
    """An input of the model, with its elements in `data` or in bytes behind the JSON (`binary_data_size`)."""

    name: Annotated[str, Meta(extra_json_schema={"enum": _INPUTS})]
    shape: Annotated[list[_RowCount], Meta(extra_json_schema={"minItems": 2, "maxItems": 2})]
    datatype: Annotated[str, Meta(extra_json_schema={"enum": ["FP32", "BYTES"]})]
    parameters: Annotated[Parameters, Meta(extra_json_schema={"properties": {"binary_data_size": _SIZE}})] = {}
    data: Annotated[msgspec.Raw, Meta(extra_json_schema=_ELEMENTS)] | UnsetType = UNSET


class RequestedOutput(msgspec.Struct):
    """The output, and whether it is wanted as bytes (`binary_data`)."""

    name: Annotated[str, Meta(extra_json_schema={"enum": [OUTPUT]})]
    parameters: Parameters = {}


class InferBody(msgspec.Struct):
    """Both inputs of the model, in any order; `parameters` may say `event_time`, `key` and `binary_data_output`."""

    inputs: Annotated[list[InputTensor], Meta(extra_json_schema={"minItems": 2, "maxItems": 2})]
    id: NewRequestId = ""
    parameters: Annotated[Parameters, Meta(extra_json_schema={"properties": _OF_REQUEST})] = {}
    outputs: Annotated[list[RequestedOutput], Meta(extra_json_schema={"maxItems": 1})] = []


class OutputTensor(msgspec.Struct, omit_defaults=True):
    """`data` is left out when the elements stand behind the JSON (`binary_data_size`)."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float] | UnsetType = UNSET
    parameters: dict[str, int] | UnsetType = UNSET


class InferAnswer(msgspec.Struct, omit_defaults=True):
    """The scores as the one output. `prediction_id` is among the parameters where `id` is the caller's."""

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]
    parameters: dict[str, str] | UnsetType = UNSET
