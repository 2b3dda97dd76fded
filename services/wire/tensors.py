"""Tensors of the Open Inference Protocol: what a model's must be, and the model's inputs out of a request's.

Every model has two inputs, `numeric` FP32 [n, numbers of its schema] and `category` BYTES [n, categories], and one
output, `probability` FP32 [n].
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from contracts.errors import ContractViolation
from contracts.schema import Category, Numeric, Schema
from services.core.request import check_size
from services.wire.strings import MANY, Strings


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a tensor must be. `columns` are the features along its second dimension; none: it has one dimension."""

    name: str
    datatype: str
    columns: tuple[str, ...]

    @property
    def shape(self) -> list[int]:
        """-1 is any number of rows."""
        return [-1, len(self.columns)] if self.columns else [-1]


@dataclass(slots=True)
class Tensor:
    """An input as it came: its bytes (`raw`), or its elements, flat or by row (`values`)."""

    name: str
    datatype: str
    shape: Sequence[int]
    raw: bytes | memoryview | None = None
    values: Sequence[Any] | None = None


class ModelTensors:
    """The inputs and the output of one model, made from its schema when it is loaded."""

    def __init__(self, schema: Schema) -> None:
        self.numeric = TensorSpec(INPUT_NUMERIC, "FP32", schema.numeric_names)
        self.category = TensorSpec(INPUT_CATEGORY, "BYTES", schema.category_names)
        self.output = TensorSpec(OUTPUT, "FP32", ())
        self.inputs = {spec.name: spec for spec in (self.numeric, self.category)}
        self.strings = Strings()


def assemble(tensors: Iterable[Tensor], model: ModelTensors) -> tuple[Numeric, Category]:
    """The model's two inputs from a request's tensors, which may come in any order.

    >>> from types import SimpleNamespace
    >>> schema = SimpleNamespace(numeric_names=("height", "weight"), category_names=("colour",))
    >>> numeric, category = assemble(
    ...     [
    ...         Tensor("category", "BYTES", [2, 1], raw=b"\\x03\\0\\0\\0red" + b"\\0\\0\\0\\0"),
    ...         Tensor("numeric", "FP32", [2, 2], values=[[1.5, None], [2.0, 70.0]]),
    ...     ],
    ...     ModelTensors(schema),
    ... )
    >>> numeric.tolist(), category.tolist()
    ([[1.5, nan], [2.0, 70.0]], [['red'], ['']])

    Returns:
        float32 [n, numbers], NaN is missing; str [n, categories], "" is missing.

    Raises:
        ContractViolation: a tensor is unknown, given twice or absent, or not what its specification says.
        TooLarge: more rows than a request may have.
    """
    specs = model.inputs
    given: dict[str, Tensor] = {}
    for tensor in tensors:
        if tensor.name not in specs:
            raise ContractViolation(f"an input must be one of {list(specs)}, got `{tensor.name}`; leave it out")
        if tensor.name in given:
            raise ContractViolation(f"`{tensor.name}` must be given once, got it twice; leave one out")
        given[tensor.name] = tensor
    for name in specs:
        if name not in given:
            raise ContractViolation(f"`{name}` must be given, got {list(given)}; add it")
    rows = {name: _check_header(tensor, specs[name]) for name, tensor in given.items()}
    if len(set(rows.values())) != 1:
        raise ContractViolation(f"the inputs must have the same number of rows, got {rows}; send both for every row")
    return _numeric(given[INPUT_NUMERIC]), _category(given[INPUT_CATEGORY], model)


def _check_header(tensor: Tensor, spec: TensorSpec) -> int:
    """The number of rows that the shape says."""
    if tensor.datatype != spec.datatype:
        raise ContractViolation(
            f"`{spec.name}` must have datatype {spec.datatype}, got {tensor.datatype!r}; convert it"
        )
    shape = tensor.shape
    if len(shape) != 2 or shape[1] != len(spec.columns) or shape[0] < 1:
        raise ContractViolation(
            f"`{spec.name}` must have shape [n, {len(spec.columns)}] with n >= 1, got {list(shape)}; "
            f"the columns are {', '.join(spec.columns)}"
        )
    check_size(shape[0])
    return shape[0]


def _numeric(tensor: Tensor) -> Numeric:
    rows, columns = tensor.shape
    if tensor.raw is not None:
        _check_length(tensor, len(tensor.raw), 4 * rows * columns, "bytes")
        return np.frombuffer(tensor.raw, "<f4").reshape(rows, columns)
    flat = _flat(tensor)
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and the schema refuses that by name
        return np.array(flat, np.float32).reshape(rows, columns)


def _category(tensor: Tensor, model: ModelTensors) -> Category:
    rows, columns = tensor.shape
    if tensor.raw is None:
        return np.array([value or "" for value in _flat(tensor)], object).reshape(rows, columns)
    data = bytes(tensor.raw)
    if rows * columns >= MANY and (category := model.strings.read(data, rows, columns)) is not None:
        return category
    return np.array(_strings(tensor, data, model.category.columns), object).reshape(rows, columns)


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


def _strings(tensor: Tensor, data: bytes, names: Sequence[str]) -> list[str]:
    """The elements of a raw BYTES tensor one by one: each its length (4 bytes, little endian), then its bytes."""
    rows, columns = tensor.shape
    strings: list[str] = []
    position = 0
    while position < len(data) and len(strings) < rows * columns:
        if position + 4 > len(data):
            break
        (length,) = struct.unpack_from("<I", data, position)
        strings.append(as_text(data[position + 4 : position + 4 + length], len(strings), names))
        position += 4 + length
    if position != len(data) or len(strings) != rows * columns:
        raise ContractViolation(
            f"`{tensor.name}` must have {rows * columns} elements, each its length in 4 bytes and then its bytes, got "
            f"{len(data)} bytes that hold {len(strings)}; correct the lengths or the shape"
        )
    return strings


def as_text(value: bytes, index: int, names: Sequence[str]) -> str:
    """An element of a BYTES tensor.

    Args:
        index: its place in row-major order.
        names: of the tensor's columns.
    """
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        row, column = divmod(index, len(names))
        raise ContractViolation(f"`{names[column]}` must be UTF-8, got {value[:32]!r} in row {row}; encode it") from (
            error
        )
