"""Requests in every form that the service takes, all from the same rows."""

import json
from typing import Any

import numpy as np

from contracts.features import CATEGORY, CATEGORY_NAMES, NUMERIC, NUMERIC_NAMES, Category, Numeric
from services.generated import open_inference_pb2 as pb

INFER = "/v2/models/flight-delay/infer"


def rows(count: int, seed: int = 0) -> tuple[Numeric, Category]:
    """Random rows within the contract; a third of what may be missing is."""
    random = np.random.default_rng(seed)
    low, high = np.array([f.low for f in NUMERIC]), np.array([f.high for f in NUMERIC])
    numeric = (low + random.random((count, len(NUMERIC))) * (high - low)).astype(np.float32)
    nullable = np.array([f.nullable for f in NUMERIC])
    numeric[(random.random(numeric.shape) < 1 / 3) & nullable] = np.nan
    category = random.choice(np.array(["AA", "UA", "JFK", "LAX", "??", ""], object), (count, len(CATEGORY)))
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


def records(numeric: Numeric, category: Category, **more: Any) -> dict[str, Any]:
    flights = [
        dict(zip(NUMERIC_NAMES, numbers, strict=True)) | dict(zip(CATEGORY_NAMES, strings, strict=True))
        for numbers, strings in zip(json_numbers(numeric), category.tolist(), strict=True)
    ]
    return {"flights": flights} | more


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


def proto(numeric: Numeric, category: Category, *, raw: bool = True, **more: Any) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="flight-delay", **more)
    first = message.inputs.add(name="numeric", datatype="FP32", shape=numeric.shape)
    second = message.inputs.add(name="category", datatype="BYTES", shape=category.shape)
    if raw:
        message.raw_input_contents.extend([numeric.astype("<f4").tobytes(), raw_strings(category)])
    else:
        first.contents.fp32_contents.extend(numeric.ravel().tolist())
        second.contents.bytes_contents.extend(value.encode() for value in category.ravel().tolist())
    return message
