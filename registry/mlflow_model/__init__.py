"""A released artifact as a model of MLflow, with its description.

model.onnx, manifest.json, ...   the artifact, byte for byte
MLmodel                          flavours `python_function` and `onnx`, signature, input example
scoring.py                       this package's: data frame in, probabilities out
requirements.txt, ...            the versions that scored it here
"""

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from contracts.artifact import FILES, MANIFEST, MODEL, OUTPUT, Artifact
from contracts.schema import Schema
from registry.mlflow_model.datasets import model_columns

if TYPE_CHECKING:
    from mlflow.models import Model

_SCORING: Final = Path(__file__).with_name("scoring.py")
_LIBRARIES: Final = ("mlflow", "numpy", "onnx", "onnxruntime", "pandas")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a training's reports say of the released model.

    Attributes:
        reason: why this model is released, in a sentence.
        months: month -> AUC after training; None where only one class is there.
        pictures: title -> path among the run's files.
    """

    run_id: str
    reason: str
    months: Mapping[str, float | None]
    pictures: Mapping[str, str]


def describe(artifact: Artifact, evidence: Evidence | None = None) -> str:
    """A version's description in Markdown.

    Args:
        evidence: None when the run with the reports is lost.
    """
    manifest = artifact.manifest
    parts = [
        f"The **{manifest.released}** of {manifest.name}, trained on what was known before {manifest.as_of}: "
        f"{len(artifact.model):,} bytes of ONNX, digest `{artifact.digest}`."
    ]
    if evidence is None:
        whole = {name: value for name, value in manifest.metrics.items() if "/" not in name}  # without slices
        parts.append(_table("on the month before it", "value", whole))
        return "\n\n".join(parts)
    parts += [evidence.reason, _table("month", "AUC", evidence.months)]
    for title, path in evidence.pictures.items():
        # MLflow's server answers this address, relative to its pages.
        address = f"get-artifact?path={quote(path, safe='')}&run_uuid={evidence.run_id}"
        parts.append(f"[![{title}]({address})]({address})")
    return "\n\n".join(parts)


def describe_task(schema: Schema, champion: str) -> str:
    """The registered model's description: the question, and the champion's description."""
    question = f"**{schema.target.question}** The model answers with the probability that a {schema.subject.singular} "
    return f"{question}{schema.target.event}.\n\nThe champion: {champion}"


def write_model(folder: Path, stored: Path, artifact: Artifact) -> None:
    """Write a model that MLflow loads.

    Args:
        folder: must not exist, or be empty.
        stored: the artifact's folder.
    """
    import numpy as np
    import onnx
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # importing it warns of a type hint of its own
        import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema as Columns
    from mlflow.types import TensorSpec

    model = Model()
    providers = ["CPUExecutionProvider"]
    model.add_flavor("onnx", onnx_version=onnx.__version__, data=MODEL, providers=providers, onnx_session_options=None)
    mlflow.pyfunc.save_model(
        str(folder),
        python_model=str(_SCORING),
        artifacts={"onnx": str(stored / MODEL), "manifest": str(stored / MANIFEST)},
        signature=ModelSignature(
            model_columns(artifact.schema), Columns([TensorSpec(np.dtype(np.float32), (-1,), OUTPUT)])
        ),
        input_example=pd.DataFrame([artifact.schema.example()]),
        pip_requirements=[f"{name}=={version(name)}" for name in _LIBRARIES],
        mlflow_model=model,
    )
    for name in FILES:
        shutil.copyfile(stored / name, folder / name)
    _tidy(folder, model)


def _tidy(folder: Path, model: "Model") -> None:
    """Let MLmodel point at the artifact's own files, without copies of them and addresses of this machine.

    The version of cloudpickle is noted by MLflow for every model, also for one that has no pickle.
    """
    flavour: dict[str, Any] = model.flavors["python_function"]
    del flavour["cloudpickle_version"]
    flavour["model_code_path"] = _SCORING.name
    for name, file in (("onnx", MODEL), ("manifest", MANIFEST)):
        flavour["artifacts"][name] = {"path": file, "uri": file}
    shutil.rmtree(folder / "artifacts")
    model.save(str(folder / "MLmodel"))


def _table(name: str, value: str, rows: Mapping[str, float | None]) -> str:
    lines = [f"| {key} | {'-' if number is None else f'{number:.4g}'} |" for key, number in rows.items()]
    return "\n".join([f"| {name} | {value} |", "|---|---|", *lines])
