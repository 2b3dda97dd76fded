"""params.yaml: what stages read of it. A stage's own section is `class Parameters` in its module."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from contracts.errors import ParameterError


class Section(BaseModel):
    """Base of all sections: unknown keys and other types than the named ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


# What stands beside the sections, for every stage that asks for it.
GENERAL: Final[Mapping[str, Any]] = {
    "task": Annotated[str, Field(description="package below tasks/")],
    "as_of": Annotated[date, Field(strict=False, description="everything known before this day may train")],
    "seed": Annotated[int, Field(ge=0, description="of every draw")],
}


def read_params(path: Path) -> dict[str, Any]:
    """The whole file as plain data, unchecked.

    Raises:
        ParameterError: missing or unreadable.
    """
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(f"`{path}` must be readable YAML, got: {error}; restore it with git") from error
    if not isinstance(raw, dict):
        raise ParameterError(f"`{path}` must hold a mapping, got {type(raw).__name__}; restore it with git")
    return raw


def check_params(path: Path, raw: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Decode these keys of the file's content.

    Args:
        path: for the message.
        raw: keys beside `keys` are refused.
        keys: key -> type, annotated or a `Section`.

    Raises:
        ParameterError: unknown, missing or wrong keys. Names every one of them.
    """
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in keys.items()}
    model = create_model("Params", __base__=Section, **fields)
    try:
        checked = model.model_validate(raw)
    except ValidationError as error:
        lines = [
            f"  `{'.'.join(str(part) for part in e['loc'])}`: {e['msg']}, got {e['input']!r}" for e in error.errors()
        ]
        raise ParameterError(
            f"`{path}` must match `class Parameters` of each stage (pipelines/stages/):\n"
            + "\n".join(lines)
            + "\nCorrect these keys and run again."
        ) from error
    return {name: getattr(checked, name) for name in keys}
