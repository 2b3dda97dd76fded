"""What the server says of itself and its model: the same on both transports."""

from importlib.metadata import version

import msgspec

from contracts.store.state import Role
from monitoring.metrics.declared import Metrics
from services.core.model import Model
from services.core.predictor import Predictor
from services.core.request import MAX_ROWS
from services.wire.protocol import BACKEND, DATA_TYPES, EXTENSIONS, PLATFORM, SERVER_NAME
from services.wire.tensors import ModelTensors, TensorSpec


class RefusedModel(msgspec.Struct):
    """A model that is wanted for a role and was not taken, and why: what was there before answers on."""

    role: Role
    version: str
    why: str


class ServerMetadata(msgspec.Struct, omit_defaults=True):
    """`extensions` are those of the protocol that this server knows. `refused` is not the protocol's."""

    name: str
    version: str
    extensions: list[str]
    refused: list[RefusedModel] = []


class TensorMetadata(msgspec.Struct):
    """A length of -1 is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct, omit_defaults=True):
    """The model that is served, with the versions that answer: the champion's first.

    `refused` is not the protocol's.
    """

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    refused: list[RefusedModel] = []


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


class ConfiguredInput(msgspec.Struct):
    """An input of one row: the number of rows is not among `dims`."""

    name: str
    data_type: str
    dims: list[int]


class Reshape(msgspec.Struct):
    """The dimensions that a tensor really has; none where it has one value a row."""

    shape: list[int]


class ConfiguredOutput(msgspec.Struct):
    """The output of one row."""

    name: str
    data_type: str
    dims: list[int]
    reshape: Reshape


class ModelConfig(msgspec.Struct):
    """Triton's model configuration, as far as it says something about this server. `max_batch_size` counts rows."""

    name: str
    platform: str
    backend: str
    max_batch_size: int
    input: list[ConfiguredInput]
    output: list[ConfiguredOutput]


class Duration(msgspec.Struct, frozen=True):
    """How many there were, and their nanoseconds together."""

    count: int = 0
    ns: int = 0


class InferStatistics(msgspec.Struct):
    """What became of requests: `queue` is from their last byte to the run, with decoding and checks in it,
    `compute_infer` the run, `success` both. Input and output take none apart, and there is no cache.
    """

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration = Duration()
    cache_miss: Duration = Duration()


class ModelStatistics(msgspec.Struct):
    """What a version has done in the process that answers, since it was loaded.

    `version` is its 12 hexadecimal digits as a decimal number, as Triton's clients read one. `inference_count` is
    rows, `execution_count` runs of the model, `last_inference` milliseconds since 1970 (0: never).
    """

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: InferStatistics


class Statistics(msgspec.Struct, omit_defaults=True):
    """Of each version that answers, the champion's first. `refused` is not the protocol's."""

    model_stats: list[ModelStatistics]
    refused: list[RefusedModel] = []


def refused(predictor: Predictor) -> list[RefusedModel]:
    """What REST adds to the metadata and statistics; messages of gRPC have no member for it."""
    return [RefusedModel(one.role, one.digest[:12], one.why) for one in predictor.refused]


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


def model_config(predictor: Predictor, tensors: ModelTensors) -> ModelConfig:
    """How the model is served, which is the same for all versions."""
    output = tensors.output
    return ModelConfig(
        predictor.name,
        PLATFORM,
        BACKEND,
        MAX_ROWS,
        [ConfiguredInput(spec.name, DATA_TYPES[spec.datatype], spec.shape[1:]) for spec in tensors.inputs.values()],
        [ConfiguredOutput(output.name, DATA_TYPES[output.datatype], [1], Reshape([]))],
    )


def statistics(predictor: Predictor, metrics: Metrics, version: str = "") -> Statistics:
    """What the versions that answer have done.

    Args:
        version: of one of them; "": of all.

    Requests that were refused reached no version: they stand with the champion.

    Raises:
        NotFound: no model that answers has this version.
    """
    roles = predictor.roles
    asked = [roles.choose("", version)[1]] if version else [model for _, model in roles.answering()]
    return Statistics([_of_model(model, metrics.failed() if model is roles.champion else 0) for model in asked])


def _of_model(model: Model, failed: int) -> ModelStatistics:
    usage = model.usage
    return ModelStatistics(
        model.name,
        str(int(model.version, 16)),
        usage.last_ns // 1_000_000,
        usage.rows,
        usage.runs,
        InferStatistics(
            success=Duration(usage.requests, usage.before_ns + usage.run_ns),
            fail=Duration(failed),
            queue=Duration(usage.requests, usage.before_ns),
            compute_input=Duration(usage.requests),
            compute_infer=Duration(usage.requests, usage.run_ns),
            compute_output=Duration(usage.requests),
        ),
    )
