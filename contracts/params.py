"""`params.yaml` as frozen models, one a stage. A stage receives only its own section and `as_of`."""

from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.errors import ParameterError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Ingest(_Section):
    keep_every: int = Field(ge=1, description="1 keeps all flights, n every n-th in order of departure")


class Train(_Section):
    """The teacher: an MLP over piecewise-linear encodings (Gorishniy et al. 2022, section 3.2)."""

    seed: int = Field(ge=0)
    hidden: list[int] = Field(min_length=1, description="units of each hidden layer")
    bins: int = Field(ge=2, le=256, description="quantile bins a feature")
    bin_width: int = Field(ge=1, description="numbers that a feature's encoding is projected to")
    dropout: float = Field(ge=0, lt=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    batch_size: int = Field(ge=1)
    epochs: int = Field(ge=1, description="at most; the best one on the validation month is used")


class Compress(_Section):
    """The student: distilled, pruned by whole units, quantised to static int8."""

    hidden: list[int] = Field(min_length=1)
    prune: float = Field(ge=0, lt=1, description="share of each hidden layer's units that is cut")
    bins: int = Field(ge=2, le=256)
    epochs: int = Field(ge=1)
    finetune_epochs: int = Field(ge=0)
    learning_rate: float = Field(gt=0)
    noise_copies: int = Field(ge=0)
    calibration_rows: int = Field(ge=1)
    max_auc_loss: float = Field(ge=0, description="AUC on the validation month")


class Params(_Section):
    as_of: date = Field(strict=False)
    ingest: Ingest
    train: Train
    compress: Compress


def load_params(path: Path) -> Params:
    """Read and check the whole file.

    Raises:
        ParameterError: missing or unreadable file, unknown, missing or wrong key. Names every one of them.
    """
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ParameterError(f"`{path}` must be readable YAML, got: {error}; restore it with git") from error
    if not isinstance(raw, dict):
        raise ParameterError(f"`{path}` must hold a mapping, got {type(raw).__name__}; restore it with git")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [
            f"  `{'.'.join(str(part) for part in e['loc'])}`: {e['msg']}, got {e['input']!r}" for e in error.errors()
        ]
        raise ParameterError(
            f"`{path}` must match contracts/params.py:\n" + "\n".join(lines) + "\nCorrect these keys and run again."
        ) from error
