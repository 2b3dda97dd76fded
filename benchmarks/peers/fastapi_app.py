"""The peer that people write themselves: FastAPI, a pydantic model of named fields, an async handler. No token, log or
metrics. It runs in an environment of its own and imports nothing of ours.

    python fastapi_app.py MODEL NAMES PORT

Of the usual ways to answer (a dict, JSONResponse, orjson, a response model) this one, FastAPI's own advice, was the
fastest.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, create_model


class Answer(BaseModel):
    probabilities: list[float]


def application(model: bytes, numeric: list[str], category: list[str]) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    fields: dict[str, Any] = dict.fromkeys(numeric, (float | None, None)) | dict.fromkeys(category, (str, ""))
    row = create_model("Row", **fields)
    rows = create_model("Rows", rows=(list[row], ...))  # type: ignore[valid-type] # the type is made of the names
    app = FastAPI()

    def score(body: Any) -> Any:
        numbers = np.array([[getattr(one, name) for name in numeric] for one in body.rows], np.float32)
        strings = np.array([[getattr(one, name) for name in category] for one in body.rows], object)
        scores = session.run(["probability"], {"numeric": numbers, "category": strings})[0]
        return scores.tolist()

    @app.get("/")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/v1/predict")
    async def predict(body: rows) -> Answer:  # type: ignore[valid-type] # as above
        return Answer(probabilities=score(body))

    return app


if __name__ == "__main__":
    names = json.loads(Path(sys.argv[2]).read_text())
    served = application(Path(sys.argv[1]).read_bytes(), names["numeric"], names["category"])
    uvicorn.run(served, port=int(sys.argv[3]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
