"""Run by an interpreter that has `tritonclient` and not this project: `triton.py REST GRPC TOKEN`.

Prints what the stock clients got, as one JSON object. The rows come on standard input.
"""

import asyncio
import json
import sys
from importlib import import_module
from typing import Any

import numpy as np


def inputs(kind: Any, numeric: Any, category: Any, **options: Any) -> list[Any]:
    tensors = [
        kind.InferInput("numeric", list(numeric.shape), "FP32"),
        kind.InferInput("category", list(category.shape), "BYTES"),
    ]
    tensors[0].set_data_from_numpy(numeric, **options)
    tensors[1].set_data_from_numpy(category, **options)
    return tensors


def ask(kind: Any, address: str, headers: dict[str, str], numeric: Any, category: Any) -> dict[str, Any]:
    client = kind.InferenceServerClient(address)
    found: dict[str, Any] = {"live": client.is_server_live(), "ready": client.is_server_ready()}
    found["model_ready"] = client.is_model_ready("flight-delay", headers=headers)
    metadata = client.get_model_metadata("flight-delay", headers=headers)
    found["version"] = metadata["versions"][0] if isinstance(metadata, dict) else metadata.versions[0]
    about = client.get_server_metadata(headers=headers)
    found["extensions"] = about["extensions"] if isinstance(about, dict) else list(about.extensions)
    config = client.get_model_config("flight-delay", headers=headers)
    found["max_rows"] = config["max_batch_size"] if isinstance(config, dict) else config.config.max_batch_size
    answer = client.infer("flight-delay", inputs(kind, numeric, category), request_id="stock", headers=headers)
    found["scores"] = answer.as_numpy("probability").tolist()
    response = answer.get_response()
    found["id"] = response["id"] if isinstance(response, dict) else response.id
    found["by_name"] = (
        client.infer(
            "flight-delay",
            inputs(kind, numeric, category),
            model_version=found["version"],
            outputs=[kind.InferRequestedOutput("probability")],
            headers=headers,
        )
        .as_numpy("probability")
        .tolist()
    )
    statistics = client.get_inference_statistics("flight-delay", headers=headers)
    (counted,) = statistics["model_stats"] if isinstance(statistics, dict) else statistics.model_stats
    found["counted"] = int(counted["inference_count"] if isinstance(counted, dict) else counted.inference_count)
    try:
        client.infer("other", inputs(kind, numeric, category), headers=headers)
    except Exception as error:  # noqa: BLE001 - each client has an error class of its own
        found["refusal"] = str(error)
    client.close()
    return found


async def ask_many(kind: Any, address: str, headers: dict[str, str], numeric: Any, category: Any) -> list[list[float]]:
    """Every row by itself, all at the same time, on an asynchronous client."""
    async with kind.InferenceServerClient(address) as client:
        calls = [
            client.infer("flight-delay", inputs(kind, numeric[i : i + 1], category[i : i + 1]), headers=dict(headers))
            for i in range(len(numeric))
        ]
        return [answer.as_numpy("probability").tolist() for answer in await asyncio.gather(*calls)]


def main() -> None:
    rest, grpc, token = sys.argv[1:]
    over_http, over_grpc = import_module("tritonclient.http"), import_module("tritonclient.grpc")
    rows = json.load(sys.stdin)
    numeric = np.array(rows["numeric"], np.float32)
    category = np.array(rows["category"], object)

    def headers() -> dict[str, str]:
        """Fresh ones each time: the HTTP client adds its own to the dictionary that it is given."""
        return {"authorization": f"Bearer {token}"}

    found = {
        "http": ask(over_http, rest, headers(), numeric, category),
        "grpc": ask(over_grpc, grpc, headers(), numeric, category),
    }
    for name, address in (("http", rest), ("grpc", grpc)):
        kind = import_module(f"tritonclient.{name}.aio")
        found[name]["aio"] = asyncio.run(ask_many(kind, address, headers(), numeric, category))
    client = over_http.InferenceServerClient(rest)
    no_missing = np.array(rows["complete"], np.float32)  # this client writes a bare NaN into JSON
    options = {"binary_data": False}
    asked = [over_http.InferRequestedOutput("probability", binary_data=False)]
    tensors = inputs(over_http, no_missing, category, **options)
    answer = client.infer("flight-delay", tensors, outputs=asked, headers=headers())
    found["json"] = answer.as_numpy("probability").tolist()
    tensors = inputs(over_http, no_missing, category)
    found["json_expected"] = client.infer("flight-delay", tensors, headers=headers()).as_numpy("probability").tolist()
    client.close()
    json.dump(found, sys.stdout)


main()
