"""Writes the requests beside it, from the schema of the flights: `make examples` runs it."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from tasks.flights.schema import SCHEMA


def grpc_request() -> dict[str, Any]:
    """A ModelInferRequest in protobuf's JSON form, for grpcurl: "NaN" is missing, bytes are base64."""
    row = SCHEMA.example()
    numbers = [row[name] for name in SCHEMA.numeric_names]
    texts = [str(row[name]) for name in SCHEMA.category_names]
    contents = {
        "numeric": ("FP32", {"fp32_contents": ["NaN" if value is None else value for value in numbers]}),
        "category": ("BYTES", {"bytes_contents": [base64.b64encode(text.encode()).decode() for text in texts]}),
    }
    inputs = [
        {"name": name, "datatype": datatype, "shape": [1, len(next(iter(values.values())))], "contents": values}
        for name, (datatype, values) in contents.items()
    ]
    return {"model_name": SCHEMA.name, "id": "my-third", "inputs": inputs}


def write(folder: Path) -> None:
    """Write row.json for REST and grpc.json for gRPC."""
    for name, content in (("row.json", {"rows": [SCHEMA.example()]}), ("grpc.json", grpc_request())):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
