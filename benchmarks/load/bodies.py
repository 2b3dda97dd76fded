"""Requests that differ: the rows of the model's own reference sample, as each protocol and client takes them."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from contracts.artifact import Artifact
from contracts.reference import Reference, unpack
from contracts.schema import Schema

ROWS: Final = 4_096  # single rows; a client sends them in turn
BULK_ROWS: Final = 1_024  # a request
BULK_REQUESTS: Final = 4
SOME_ROWS: Final = 32  # a request that the service still answers like a single row


@dataclass(frozen=True, slots=True)
class Bodies:
    """Files in one folder.

    Attributes:
        records: JSON lines of `/v1/predict`, one row each.
        some: the same, `SOME_ROWS` rows each.
        tensors: JSON lines of `/v2/models/<name>/infer`, one row each.
        grpc: JSON list of ModelInferRequest, one row each, raw; what ghz reads.
        bulk: the same of `BULK_ROWS` rows.
        large: one JSON body of `/v1/predict` just below 16 MiB.
        model: the ONNX graph.
        names: {"numeric": [..], "category": [..]} of the features.
        arrays: .npz of `numeric` float32 [BULK_ROWS, n] and `category` str [BULK_ROWS, k].
    """

    records: Path
    some: Path
    tensors: Path
    grpc: Path
    bulk: Path
    large: Path
    model: Path
    names: Path
    arrays: Path


def write_bodies(artifact: Artifact, folder: Path) -> Bodies:
    """All files of `Bodies` in `folder`."""
    schema, sample = artifact.schema, unpack(artifact.reference, artifact.schema)
    sample = _repeated(sample, max(ROWS, BULK_ROWS * BULK_REQUESTS))
    rows = [_record(schema, sample, index) for index in range(ROWS)]
    bodies = Bodies(
        **{name: folder / f"{name}.jsonl" for name in ("records", "some", "tensors")},
        **{name: folder / f"{name}.json" for name in ("grpc", "bulk", "large", "names")},
        model=folder / "model.onnx",
        arrays=folder / "arrays.npz",
    )
    _write_lines(bodies.records, [{"rows": [row]} for row in rows])
    starts = range(0, ROWS, SOME_ROWS)
    _write_lines(bodies.some, [{"rows": rows[start : start + SOME_ROWS]} for start in starts])
    _write_lines(bodies.tensors, [_tensors(sample, index) for index in range(ROWS)])
    bodies.grpc.write_text(json.dumps([_message(schema, sample, index, 1) for index in range(ROWS)]))
    starts = range(0, BULK_ROWS * BULK_REQUESTS, BULK_ROWS)
    bodies.bulk.write_text(json.dumps([_message(schema, sample, start, BULK_ROWS) for start in starts]))
    bodies.large.write_text(_large(rows))
    bodies.model.write_bytes(artifact.model)
    bodies.names.write_text(json.dumps({"numeric": schema.numeric_names, "category": schema.category_names}))
    category = sample.category[:BULK_ROWS].astype(np.str_)
    np.savez(bodies.arrays, numeric=sample.numeric[:BULK_ROWS], category=category)
    return bodies


def _repeated(sample: Reference, rows: int) -> Reference:
    places = np.arange(rows) % len(sample.numeric)
    return Reference(sample.numeric[places], sample.category[places])


def _write_lines(path: Path, values: list[Any]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))


def _numbers(sample: Reference, index: int) -> list[float | None]:
    """As a client would write them: the shortest decimals that give the float32; None is missing."""
    return [None if np.isnan(value) else float(str(value)) for value in sample.numeric[index]]


def _record(schema: Schema, sample: Reference, index: int) -> dict[str, Any]:
    return dict(zip(schema.names, [*_numbers(sample, index), *sample.category[index]], strict=True))


def _tensors(sample: Reference, index: int) -> dict[str, Any]:
    numbers, strings = _numbers(sample, index), list(sample.category[index])
    inputs = [
        {"name": "numeric", "shape": [1, len(numbers)], "datatype": "FP32", "data": numbers},
        {"name": "category", "shape": [1, len(strings)], "datatype": "BYTES", "data": strings},
    ]
    return {"inputs": inputs}


def _message(schema: Schema, sample: Reference, start: int, rows: int) -> dict[str, Any]:
    numeric, category = sample.numeric[start : start + rows], sample.category[start : start + rows]
    strings = [value.encode() for value in category.ravel()]
    raw = [numeric.astype("<f4").tobytes(), b"".join(len(s).to_bytes(4, "little") + s for s in strings)]
    inputs = [
        {"name": "numeric", "shape": list(numeric.shape), "datatype": "FP32"},
        {"name": "category", "shape": list(category.shape), "datatype": "BYTES"},
    ]
    contents = [base64.b64encode(content).decode() for content in raw]
    return {"model_name": schema.name, "inputs": inputs, "raw_input_contents": contents}


def _large(rows: list[dict[str, Any]]) -> str:
    """16 MiB of JSON, 64 bytes short: 8,192 rows, and blanks between them."""
    text = ",".join(json.dumps(rows[index % len(rows)]) for index in range(8_192))
    return '{"rows": [' + text + " " * (16 * 2**20 - 64 - len(text) - 12) + "]}"
