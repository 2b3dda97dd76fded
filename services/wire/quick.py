"""Small prediction requests in the form that nearly all of them have, decoded with the least work.

What is not of that form, or not valid, is None here: `json_infer` and `records` decode it anew, and name what is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import msgspec

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC
from contracts.errors import WindsockError
from services.core.request import MAX_ID_LENGTH, MAX_KEY_LENGTH, MAX_ROWS, to_us
from services.wire.records import Records
from services.wire.tensors import ModelTensors

_DATATYPES: Final = {INPUT_NUMERIC: "FP32", INPUT_CATEGORY: "BYTES"}


@dataclass(slots=True)
class QuickRequest:
    """A request whose values are still plain lists, so that those of many become one array.

    Attributes:
        numbers: rows x numbers of the schema, row-major; None is missing.
        strings: rows x categories, row-major; "" is missing.
    """

    rows: int
    numbers: list[float | None]
    strings: list[str]
    id: str
    event_us: int
    key: str


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[float | str | list[float | str | None] | None]
    parameters: msgspec.Raw | None = None


class _Body(msgspec.Struct):
    """What else the protocol knows has a meaning that the long way sees to; what it does not know is ignored."""

    inputs: list[_Tensor]
    id: str = ""
    parameters: msgspec.Raw | None = None
    outputs: msgspec.Raw | None = None


_decode_body: Final = msgspec.json.Decoder(_Body).decode


def quick_infer(model: ModelTensors) -> Callable[[bytes], QuickRequest | None]:
    """A decoder of two tensors in JSON, for one model."""
    widths = {INPUT_NUMERIC: len(model.numeric.columns), INPUT_CATEGORY: len(model.category.columns)}

    def decode(body: bytes) -> QuickRequest | None:
        try:
            call = _decode_body(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if len(call.inputs) != 2 or call.parameters or call.outputs:
            return None
        found: dict[str, list[Any]] = {}
        rows = call.inputs[0].shape[0] if call.inputs[0].shape else 0
        for tensor in call.inputs:
            width = widths.get(tensor.name)
            if (
                width is None
                or tensor.parameters
                or [tensor.shape, tensor.datatype] != [[rows, width], _DATATYPES[tensor.name]]
            ):
                return None
            values = _flat(tensor.data, rows, width, float if tensor.name == INPUT_NUMERIC else str)
            if values is None:
                return None
            found[tensor.name] = values
        if len(found) != 2 or not 0 < rows <= MAX_ROWS:
            return None
        if call.id and not _is_id(call.id):
            return None
        strings = [value or "" for value in found[INPUT_CATEGORY]]
        return QuickRequest(rows, found[INPUT_NUMERIC], strings, call.id, 0, "")

    return decode


def _is_id(value: str) -> bool:
    return len(value) <= MAX_ID_LENGTH and value.isprintable()


def _flat(data: list[Any], rows: int, width: int, kind: type) -> list[Any] | None:
    """Elements in row-major order; None: another number of them, or one of another kind."""
    if len(data) == rows and data and type(data[0]) is list:
        if any(type(row) is not list or len(row) != width for row in data):
            return None
        data = list(chain.from_iterable(data))
    if len(data) != rows * width:
        return None
    return data if set(map(type, data)) <= {kind, type(None)} else None


def quick_records(records: Records, numbers: int) -> Callable[[bytes], QuickRequest | None]:
    """A decoder of named records.

    Args:
        numbers: how many of a row's features are numbers; they come first.
    """

    def decode(body: bytes) -> QuickRequest | None:
        try:
            call = records.decode(body)
            event_us = to_us(call.event_time)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, WindsockError):
            return None
        rows = call.rows
        if not 0 < len(rows) <= MAX_ROWS or len(call.key) > MAX_KEY_LENGTH or (call.id and not _is_id(call.id)):
            return None
        values = [msgspec.structs.astuple(row) for row in rows]
        if len(values) == 1:
            (row,) = values
            flat, strings = list(row[:numbers]), [value or "" for value in row[numbers:]]
        else:
            flat = [value for row in values for value in row[:numbers]]
            strings = [value or "" for row in values for value in row[numbers:]]
        return QuickRequest(len(rows), flat, strings, call.id, event_us, call.key)

    return decode
