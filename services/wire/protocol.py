"""The rules of the Open Inference Protocol v2 that depend neither on the transport nor on the tensors.

https://github.com/kserve/open-inference-protocol, and Triton's binary tensor extension.
"""

from collections.abc import Sequence
from typing import Final

from contracts.artifact import OUTPUT
from contracts.errors import InvalidInput, NotFound
from services.core.model import Model
from services.core.predictor import Predictor

SERVER_NAME: Final = "windsock"
EXTENSIONS: Final = ("binary_tensor_data", "model_configuration", "statistics")
PLATFORM: Final = "onnx_onnxv1"
BACKEND: Final = "onnxruntime"
DATA_TYPES: Final = {"FP32": "TYPE_FP32", "BYTES": "TYPE_STRING"}  # as the model configuration names them


def check_outputs(names: Sequence[str]) -> None:
    """Which outputs are asked for: none named is all."""
    if len(names) > 1 or (names and names[0] != OUTPUT):
        raise InvalidInput(f"`outputs` must name `{OUTPUT}` once or nothing, got {list(names)}; correct it")


def check_model(predictor: Predictor, name: str, version: str) -> Model:
    """The model that is asked about; with an empty version it is the champion.

    Raises:
        NotFound: another model or version.
    """
    if name != predictor.name:
        raise NotFound(f"the model must be `{predictor.name}`, got `{name}`; correct the name")
    return predictor.roles.choose("", version)[1] if version else predictor.roles.champion
