"""The peer of the serving benchmark: bare uvicorn with the same model and decoding, and nothing else.

No BentoML, no token, no schema's rules, no log, no metrics: what is left of the time is what those cost.
"""

import gc
import sys
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime as ort
import uvicorn

from contracts.artifact import Artifact
from contracts.store import load_champion
from services.wire.records import PredictAnswer, Records

_encode = msgspec.json.Encoder().encode


def application(artifact: Artifact) -> Any:
    """An ASGI application that answers every POST as `/v1/predict` does."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(artifact.model, options, providers=["CPUExecutionProvider"])

    records = Records(artifact.schema)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b"{}"
        if scope["method"] == "POST":
            message = await receive()
            numeric, category = records.to_arrays(records.decode(message["body"]).rows)
            scores = session.run(["probability"], {"numeric": numeric, "category": category})[0]
            body = _encode(PredictAnswer("", "", "", "", scores.tolist()))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


if __name__ == "__main__":
    artifact = load_champion(Path(sys.argv[1]), Path(sys.argv[2]))
    config = uvicorn.Config(
        application(artifact), port=int(sys.argv[3]), lifespan="off", access_log=False, log_level="warning"
    )
    gc.collect()
    gc.freeze()
    uvicorn.Server(config).run()
