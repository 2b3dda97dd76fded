"""The data sets of a training as MLflow shows them: what trained, what chose, what came after."""

import json
from typing import TYPE_CHECKING, Final

from contracts.artifact import sha256
from contracts.errors import DataError
from contracts.schema import Schema
from contracts.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.types import Schema as Columns

_CONTEXTS: Final = ("training", "validation", "production")
_DIGEST_LENGTH: Final = 36  # MLflow takes no longer one: the first half of the sha256, and four digits more


def log_datasets(client: "MlflowClient", run_id: str, workspace: Workspace, schema: Schema, as_of: str) -> None:
    """Name the three parts of the table of features as inputs of a run.

    All three are rows of one file, so they share its digest; `as_of` tells which rows, and stands in the name.

    Raises:
        DataError: there is no table of features.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    try:
        digest = sha256(workspace.features.read_bytes())
    except OSError as error:
        raise DataError(f"`{workspace.features}` must be readable, got: {error}; run `dvc repro`") from error
    # Relative to the workspace, which may be moved.
    source = json.dumps({"uri": workspace.features.relative_to(workspace.root).as_posix()})
    columns = json.dumps({"mlflow_colspec": model_columns(schema).to_dict()})
    inputs = []
    for context in _CONTEXTS:
        name = f"{schema.name} {context} as of {as_of}"
        tags = [InputTag("mlflow.data.context", context), InputTag("sha256", digest)]
        inputs.append(DatasetInput(Dataset(name, digest[:_DIGEST_LENGTH], "local", source, columns), tags))
    client.log_inputs(run_id, inputs)


def model_columns(schema: Schema) -> "Columns":
    """A schema's features in MLflow's terms: doubles and strings, of which those may be left out that may be missing.

    Doubles, as MLflow refuses a float64 column where float32 is declared; the graph gets float32.
    """
    from mlflow.types import ColSpec, DataType
    from mlflow.types import Schema as Columns

    numbers = [ColSpec(DataType.double, feature.name, required=not feature.nullable) for feature in schema.numeric]
    return Columns([*numbers, *(ColSpec(DataType.string, name, required=False) for name in schema.category_names)])
