"""Reports as structs: what stages, monitor and demo write under `reports/`, decoded at the edge.

One module a writer. `format` is raised when a member is renamed, removed or changes its meaning; a reader refuses
another format instead of guessing.
"""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from contracts.errors import DataError
from contracts.files import write_atomic

Kind = TypeVar("Kind")


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what reports are made of. Members are written in their order in the class."""


def encode_report(report: Any) -> bytes:
    """JSON for people and programs: indented, equal bytes for equal values.

    Raises:
        ValueError: a number is NaN or infinite; what is not known must be None.
    """
    _refuse_nan(msgspec.to_builtins(report), type(report).__name__)
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def decode_report(content: bytes, kind: type[Kind], name: str) -> Kind:
    """A report out of its JSON; `kind` is a struct or a list of them.

    Raises:
        DataError: other JSON, or another format. `name` says where it came from.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"`{name}` must be a {kind.__name__} of this version, got: {error}; make it again with what wrote it: "
            "`dvc repro`, `windsock monitor` or `windsock demo`"
        ) from error


def write_report(path: Path, report: Any) -> None:
    """Replace the file by this report."""
    write_atomic(path, encode_report(report))


def read_report(path: Path, kind: type[Kind]) -> Kind:
    """The report in this file.

    Raises:
        DataError: no such report, or one of another format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"`{path}` must be a readable report, got: {error}; run `dvc repro`") from error
    return decode_report(content, kind, str(path))


def _refuse_nan(value: Any, name: str) -> None:
    """msgspec writes NaN as null, which would turn a mistake into "not known"."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise ValueError(f"`{name}` must be a finite number or None, got {value}")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nan(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse_nan(item, f"{name}[{index}]")
