"""Sections from the environment: which variables there are, and one message for all that is wrong."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from contracts.errors import ParameterError
from contracts.settings.sections import PREFIX, ClusterSettings, Section, StackSettings

# Variables that others read: `windsock demo` (seconds since `make demo` began), compose.yaml, the tests.
READ_ELSEWHERE: Final = (
    "WINDSOCK_DEMO_STARTED",
    "WINDSOCK_UID",
    "WINDSOCK_GID",
    "WINDSOCK_RULES",
    "WINDSOCK_CLIENTS_PYTHON",
)
SECTIONS: Final[tuple[type[Section], ...]] = (StackSettings, ClusterSettings)
Kind = TypeVar("Kind", bound=Section)


def variable(section: type[Section], field: str) -> str:
    """Name of a field's variable of the environment."""
    alias = section.model_fields[field].validation_alias
    return str(alias) if alias else f"{section.model_config['env_prefix']}{field.upper()}"


def known_variables() -> set[str]:
    """Every variable with our prefix that some command reads."""
    names = {variable(section, field) for section in SECTIONS for field in section.model_fields}
    return {name for name in names if name.startswith(PREFIX)} | set(READ_ELSEWHERE)


def to_environment(settings: Section) -> dict[str, str]:
    """The settings as variables: what a process of ours that is started with them reads."""
    return {
        variable(type(settings), name): str(value) for name, value in settings.model_dump(exclude_none=True).items()
    }


def clean_environment() -> dict[str, str]:
    """This process's environment without our variables: for one that is started with settings of its own."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}


def load(section: type[Kind], **given: Any) -> Kind:
    """Read a section from the environment; what is `given` and not None wins over it.

    Raises:
        ParameterError: an unknown `WINDSOCK_` variable, or wrong values. Names every one of them.
    """
    known = known_variables()
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise ParameterError(
            f"`{'`, `'.join(unknown)}` must be one of {', '.join(sorted(known))}, got an unknown variable; unset it"
        )
    try:
        return section(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise ParameterError(
            "the settings must be valid, got:\n" + "\n".join(_lines(section, error)) + "\n"
            "Correct the variable or the option of that name."
        ) from error


def _lines(section: type[Section], error: ValidationError) -> Iterable[str]:
    for told in error.errors():
        rule = told["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        if not told["loc"]:  # between settings: the input would be all of them, with the database's password
            yield f"  {rule}"
            continue
        name = str(told["loc"][0])
        if name in section.model_fields and section.model_config["env_prefix"] != PREFIX:
            name = variable(section, name)
        yield f"  `{name}` {rule}, got {_shown(told['input'])!r}"


def _shown(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
