"""The rules of the Open Inference Protocol v2 that do not depend on the transport.

https://github.com/kserve/open-inference-protocol, and Triton's binary tensor extension. The model has two inputs,
`numeric` FP32 [n, 31] and `category` BYTES [n, 3], and one output, `probability` FP32 [n].
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from contracts.errors import ContractViolation, InvalidInput, NotFound
from contracts.features import CATEGORY_NAMES, NUMERIC_NAMES, Category, Numeric
from services.core.predictor import Predictor, check_size

SERVER_NAME: Final = "windsock"
EXTENSIONS: Final = ("binary_tensor_data",)
PLATFORM: Final = "onnx_onnxv1"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a tensor must be. `columns` are the features along its second dimension."""

    name: str
    datatype: str
    columns: tuple[str, ...]

    @property
    def shape(self) -> list[int]:
        return [-1, len(self.columns)] if self.columns else [-1]


NUMERIC_INPUT: Final = Signature(INPUT_NUMERIC, "FP32", NUMERIC_NAMES)
CATEGORY_INPUT: Final = Signature(INPUT_CATEGORY, "BYTES", CATEGORY_NAMES)
PROBABILITY_OUTPUT: Final = Signature(OUTPUT, "FP32", ())
INPUTS: Final = {s.name: s for s in (NUMERIC_INPUT, CATEGORY_INPUT)}


@dataclass(slots=True)
class Tensor:
    """An input as it came: its bytes (`raw`), or its elements, flat or by row (`values`)."""

    name: str
    datatype: str
    shape: Sequence[int]
    raw: bytes | memoryview | None = None
    values: Sequence[Any] | None = None


def assemble(tensors: Iterable[Tensor]) -> tuple[Numeric, Category]:
    """The model's two inputs from a request's tensors.

    Raises:
        ContractViolation: a tensor is unknown, given twice or absent, or not what its signature says.
        TooLarge: more rows than a request may have.
    """
    given: dict[str, Tensor] = {}
    for tensor in tensors:
        if tensor.name not in INPUTS:
            raise ContractViolation(f"an input must be one of {list(INPUTS)}, got `{tensor.name}`; leave it out")
        if tensor.name in given:
            raise ContractViolation(f"`{tensor.name}` must be given once, got it twice; leave one out")
        given[tensor.name] = tensor
    for name in INPUTS:
        if name not in given:
            raise ContractViolation(f"`{name}` must be given, got {list(given)}; add it")
    rows = {name: _check_header(tensor, INPUTS[name]) for name, tensor in given.items()}
    if len(set(rows.values())) != 1:
        raise ContractViolation(f"the inputs must have the same number of rows, got {rows}; send both for every row")
    return _numeric(given[INPUT_NUMERIC]), _category(given[INPUT_CATEGORY])


def _check_header(tensor: Tensor, signature: Signature) -> int:
    """The number of rows that the shape says."""
    if tensor.datatype != signature.datatype:
        raise ContractViolation(
            f"`{signature.name}` must have datatype {signature.datatype}, got {tensor.datatype!r}; convert it"
        )
    shape = tensor.shape
    if len(shape) != 2 or shape[1] != len(signature.columns) or shape[0] < 1:
        raise ContractViolation(
            f"`{signature.name}` must have shape [n, {len(signature.columns)}] with n >= 1, got {list(shape)}; "
            f"the columns are {', '.join(signature.columns)}"
        )
    check_size(shape[0])
    return shape[0]


def _numeric(tensor: Tensor) -> Numeric:
    rows, columns = tensor.shape
    if tensor.raw is not None:
        _check_length(tensor, len(tensor.raw), 4 * rows * columns, "bytes")
        return np.frombuffer(tensor.raw, "<f4").reshape(rows, columns)
    flat = _flat(tensor)
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and the contract refuses that by name
        return np.array(flat, np.float32).reshape(rows, columns)


def _category(tensor: Tensor) -> Category:
    rows, columns = tensor.shape
    flat = _strings(tensor) if tensor.raw is not None else [value or "" for value in _flat(tensor)]
    return np.array(flat, object).reshape(rows, columns)


def _flat(tensor: Tensor) -> Sequence[Any]:
    """Elements in row-major order. JSON may give them flat or by row."""
    values = tensor.values if tensor.values is not None else ()
    rows, columns = tensor.shape
    if len(values) and isinstance(values[0], list):
        for row, elements in enumerate(values):
            _check_length(tensor, len(elements), columns, f"elements in row {row}")
        values = list(chain.from_iterable(values))
    _check_length(tensor, len(values), rows * columns, "elements")
    return values


def _check_length(tensor: Tensor, got: int, expected: int, what: str) -> None:
    if got != expected:
        raise ContractViolation(
            f"`{tensor.name}` must have {expected} {what} for shape {list(tensor.shape)}, got {got}; correct the shape"
        )


def _strings(tensor: Tensor) -> list[str]:
    """The elements of a raw BYTES tensor: each its length (4 bytes, little endian), then its bytes."""
    data = bytes(tensor.raw or b"")
    rows, columns = tensor.shape
    strings: list[str] = []
    position = 0
    while position < len(data) and len(strings) < rows * columns:
        if position + 4 > len(data):
            break
        (length,) = struct.unpack_from("<I", data, position)
        strings.append(as_text(data[position + 4 : position + 4 + length], len(strings)))
        position += 4 + length
    if position != len(data) or len(strings) != rows * columns:
        raise ContractViolation(
            f"`{tensor.name}` must have {rows * columns} elements, each its length in 4 bytes and then its bytes, got "
            f"{len(data)} bytes that hold {len(strings)}; correct the lengths or the shape"
        )
    return strings


def as_text(value: bytes, index: int) -> str:
    """An element of a BYTES tensor. `index` is its place in row-major order."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        row, column = divmod(index, len(CATEGORY_NAMES))
        raise ContractViolation(
            f"`{CATEGORY_NAMES[column]}` must be UTF-8, got {value[:32]!r} in row {row}; encode it"
        ) from error


def check_outputs(names: Sequence[str]) -> None:
    """Which outputs are asked for: none named is all."""
    if len(names) > 1 or (names and names[0] != OUTPUT):
        raise InvalidInput(f"`outputs` must name `{OUTPUT}` once or nothing, got {list(names)}; correct it")


def check_model(predictor: Predictor, name: str, version: str) -> None:
    """
    Raises:
        NotFound: another model or version. An empty version is any.
    """
    if name != predictor.name:
        raise NotFound(f"the model must be `{predictor.name}`, got `{name}`; correct the name")
    if version and version != predictor.version:
        raise NotFound(f"the version of `{name}` must be {predictor.version}, got `{version}`; leave it out for any")
