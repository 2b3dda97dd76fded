"""What the server says of itself and its model: the same on both transports."""

from importlib.metadata import version

import msgspec

from services.core.predictor import Predictor
from services.wire.protocol import EXTENSIONS, PLATFORM, SERVER_NAME
from services.wire.tensors import ModelTensors, TensorSpec


class ServerMetadata(msgspec.Struct):
    name: str
    version: str
    extensions: list[str]


class TensorMetadata(msgspec.Struct):
    """A length of -1 is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerLive(msgspec.Struct):
    live: bool


class ServerReady(msgspec.Struct):
    ready: bool


class ModelReady(msgspec.Struct):
    name: str
    ready: bool


def server() -> ServerMetadata:
    return ServerMetadata(SERVER_NAME, version(SERVER_NAME), list(EXTENSIONS))


def model(predictor: Predictor, tensors: ModelTensors) -> ModelMetadata:
    return ModelMetadata(
        predictor.name,
        [predictor.version],
        PLATFORM,
        [_tensor(spec) for spec in tensors.inputs.values()],
        [_tensor(tensors.output)],
    )


def _tensor(spec: TensorSpec) -> TensorMetadata:
    return TensorMetadata(spec.name, spec.datatype, spec.shape)
