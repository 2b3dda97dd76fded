"""The peer with nothing on: an ASGI function on uvicorn that decodes, scores and answers. No framework, no check.

python bare.py MODEL NAMES PORT
"""

import gc
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
import uvicorn


def application(model: bytes, numeric: list[str], category: list[str]) -> Any:
    """Answers every POST as `/v1/predict` does."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    fields: list[tuple[str, Any, Any]] = [
        *((name, float | None, None) for name in numeric),
        *((name, str, "") for name in category),
    ]
    row = msgspec.defstruct("Row", fields)
    decode = msgspec.json.Decoder(dict[str, list[row]]).decode  # type: ignore[valid-type] # made of the names
    encode, values, width = msgspec.json.Encoder().encode, msgspec.structs.astuple, len(numeric)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b"{}"
        if scope["method"] == "POST":
            rows = [values(one) for one in decode((await receive())["body"])["rows"]]
            numbers = np.array([one[:width] for one in rows], np.float32)
            strings = np.array([one[width:] for one in rows], object)
            scores = session.run(["probability"], {"numeric": numbers, "category": strings})[0]
            body = encode({"probabilities": scores.tolist()})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


if __name__ == "__main__":
    names = json.loads(Path(sys.argv[2]).read_text())
    served = application(Path(sys.argv[1]).read_bytes(), names["numeric"], names["category"])
    config = uvicorn.Config(served, port=int(sys.argv[3]), lifespan="off", access_log=False, log_level="warning")
    gc.collect()
    gc.freeze()
    uvicorn.Server(config).run()
