"""What the server says of itself and its model: the same on both transports."""

from importlib.metadata import version

import msgspec

from services.core.predictor import Predictor
from services.wire.protocol import EXTENSIONS, PLATFORM, SERVER_NAME
from services.wire.tensors import ModelTensors, TensorSpec


class ServerMetadata(msgspec.Struct):
    """`extensions` are those of the protocol that this server knows."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(msgspec.Struct):
    """A length of -1 is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct):
    """The model that is served, with the versions that answer: the champion's first."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerLive(msgspec.Struct):
    """Whether the process answers."""

    live: bool


class ServerReady(msgspec.Struct, omit_defaults=True):
    """Whether requests are welcome. `reason`: why they are not."""

    ready: bool
    reason: str | None = None


class ModelReady(msgspec.Struct):
    """Whether the model answers."""

    name: str
    ready: bool


def server() -> ServerMetadata:
    """Of this installation."""
    return ServerMetadata(SERVER_NAME, version(SERVER_NAME), list(EXTENSIONS))


def model(predictor: Predictor, tensors: ModelTensors) -> ModelMetadata:
    """Of the model that is served, in each version that answers."""
    return ModelMetadata(
        predictor.name,
        [model.version for _, model in predictor.roles.answering()],
        PLATFORM,
        [_tensor(spec) for spec in tensors.inputs.values()],
        [_tensor(tensors.output)],
    )


def _tensor(spec: TensorSpec) -> TensorMetadata:
    return TensorMetadata(spec.name, spec.datatype, spec.shape)
