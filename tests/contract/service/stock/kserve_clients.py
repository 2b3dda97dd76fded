"""Run by an interpreter that has `kserve` and not this project: `kserve_clients.py REST GRPC TOKEN`.

Prints what KServe's clients got, as one JSON object. The rows come on standard input.
"""

import asyncio
import json
import sys
from importlib import import_module
from typing import Any

import numpy as np


def request(kserve: Any, rows: dict[str, Any], numbers: str, *, binary: bool) -> Any:
    """The rows as a request. `numbers`: which ones, with or without missing values, as JSON has none."""
    infer_type = import_module("kserve.protocol.infer_type")
    tensors = []
    for name, datatype, values in (
        ("numeric", "FP32", np.array(rows[numbers], np.float32)),
        ("category", "BYTES", np.array(rows["category"], object)),
    ):
        tensors.append(kserve.InferInput(name, list(values.shape), datatype))
        tensors[-1].set_data_from_numpy(values, binary_data=binary)
    wanted = infer_type.RequestedOutput("probability", {"binary_data": binary})
    return kserve.InferRequest("flight-delay", tensors, request_outputs=[wanted])


async def ask(rest: str, grpc: str, token: str, rows: dict[str, Any]) -> dict[str, Any]:
    kserve = import_module("kserve")
    found: dict[str, Any] = {}

    def bearer() -> dict[str, str]:
        """A fresh one each time: the client adds its own to the dictionary that it is given."""
        return {"authorization": f"Bearer {token}"}

    client = kserve.InferenceRESTClient(kserve.inference_client.RESTConfig(protocol="v2"))
    found["ready"] = [await client.is_server_ready(rest), await client.is_server_live(rest)]
    found["model_ready"] = await client.is_model_ready(rest, "flight-delay", headers=bearer())
    for name, numbers, binary in (("json", "complete", False), ("binary", "numeric", True)):
        sent = request(kserve, rows, numbers, binary=binary)
        answer = await client.infer(rest, sent, "flight-delay", headers=bearer())
        found[name] = answer.outputs[0].as_numpy().tolist()
    async with kserve.InferenceGRPCClient(grpc) as client:
        metadata = list(bearer().items())
        found["ready"] += [await client.is_server_ready(), await client.is_server_live()]
        found["grpc_model_ready"] = await client.is_model_ready("flight-delay", headers=metadata)
        answer = await client.infer(request(kserve, rows, "numeric", binary=True), headers=metadata)
        found["grpc"] = answer.outputs[0].as_numpy().tolist()
    return found


REST, GRPC, TOKEN = sys.argv[1:]
json.dump(asyncio.run(ask(REST, GRPC, TOKEN, json.load(sys.stdin))), sys.stdout)
