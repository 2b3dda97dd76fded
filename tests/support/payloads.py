"""Requests in every form that the service takes, all from the same rows."""

import json
from typing import Any

import numpy as np

from contracts.schema import Category, Numeric, Schema
from services.generated import open_inference_pb2 as pb
from tasks.flights.schema import SCHEMA

INFER = f"/v2/models/{SCHEMA.name}/infer"


def rows(count: int, seed: int = 0, schema: Schema = SCHEMA) -> tuple[Numeric, Category]:
    """Random rows within the schema; a third of what may be missing is."""
    random = np.random.default_rng(seed)
    low, high = np.array([f.low for f in schema.numeric]), np.array([f.high for f in schema.numeric])
    numeric = (low + random.random((count, len(low))) * (high - low)).astype(np.float32)
    nullable = np.array([f.nullable for f in schema.numeric])
    numeric[(random.random(numeric.shape) < 1 / 3) & nullable] = np.nan
    category = random.choice(np.array(["AA", "UA", "JFK", "LAX", "??", ""], object), (count, len(schema.category)))
    return numeric, category


def json_numbers(numeric: Numeric) -> list[list[float | None]]:
    return [[None if np.isnan(v) else float(v) for v in row] for row in numeric]


def json_body(numeric: Numeric, category: Category, **more: Any) -> dict[str, Any]:
    return {
        "inputs": [
            {"name": "numeric", "datatype": "FP32", "shape": list(numeric.shape), "data": json_numbers(numeric)},
            {"name": "category", "datatype": "BYTES", "shape": list(category.shape), "data": category.tolist()},
        ]
    } | more


def records(numeric: Numeric, category: Category, schema: Schema = SCHEMA, **more: Any) -> dict[str, Any]:
    named = [
        dict(zip(schema.names, [*numbers, *strings], strict=True))
        for numbers, strings in zip(json_numbers(numeric), category.tolist(), strict=True)
    ]
    return {"rows": named} | more


def raw_strings(category: Category) -> bytes:
    encoded = [value.encode() for value in category.ravel().tolist()]
    return b"".join(len(value).to_bytes(4, "little") + value for value in encoded)


def binary_body(numeric: Numeric, category: Category, **more: Any) -> tuple[bytes, dict[str, str]]:
    """Body and headers of the binary tensor extension."""
    blobs = [numeric.astype("<f4").tobytes(), raw_strings(category)]
    body = json_body(numeric, category, **more)
    for item, blob in zip(body["inputs"], blobs, strict=True):
        del item["data"]
        item["parameters"] = {"binary_data_size": len(blob)}
    header = json.dumps(body).encode()
    return header + b"".join(blobs), {"Inference-Header-Content-Length": str(len(header))}


def proto(
    numeric: Numeric, category: Category, *, raw: bool = True, name: str = SCHEMA.name, **more: Any
) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name=name, **more)
    first = message.inputs.add(name="numeric", datatype="FP32", shape=numeric.shape)
    second = message.inputs.add(name="category", datatype="BYTES", shape=category.shape)
    if raw:
        message.raw_input_contents.extend([numeric.astype("<f4").tobytes(), raw_strings(category)])
    else:
        first.contents.fp32_contents.extend(numeric.ravel().tolist())
        second.contents.bytes_contents.extend(value.encode() for value in category.ravel().tolist())
    return message
