"""What the server says of itself and its model: the same on both transports."""

from importlib.metadata import version
from typing import Any

from services.core.predictor import Predictor
from services.wire.protocol import EXTENSIONS, INPUTS, PLATFORM, PROBABILITY_OUTPUT, SERVER_NAME, Signature


def server() -> dict[str, Any]:
    return {"name": SERVER_NAME, "version": version(SERVER_NAME), "extensions": list(EXTENSIONS)}


def model(predictor: Predictor) -> dict[str, Any]:
    return {
        "name": predictor.name,
        "versions": [predictor.version],
        "platform": PLATFORM,
        "inputs": [_tensor(signature) for signature in INPUTS.values()],
        "outputs": [_tensor(PROBABILITY_OUTPUT)],
    }


def _tensor(signature: Signature) -> dict[str, Any]:
    return {"name": signature.name, "datatype": signature.datatype, "shape": signature.shape}
