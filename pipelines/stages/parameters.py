"""Stage `parameters`: the whole of params.yaml is right, and its task is there.

DVC looks only at the keys that a stage names, so it calls an unknown key up to date. This stage depends on the whole
file and refuses whatever is wrong before the others start.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from contracts.files import write_atomic
from contracts.workspace import Workspace
from pipelines.params_yaml import GENERAL, check_params
from tasks import load_schema

SECTIONS: Final = ("ingest", "train", "compress")  # stages with a `class Parameters`


def main(workspace: Workspace, *, params: Mapping[str, Any]) -> None:
    """Leave a file whose bytes never change, so that only a stage's own keys make it run again.

    Raises:
        ParameterError: an unknown, missing or wrong key, or a task that is not there.
        SchemaInvalid: the task's schema breaks a rule.
    """
    # Imported by name: what the stages import is no dependency of this one.
    sections = {name: import_module(f"pipelines.stages.{name}").Parameters for name in SECTIONS}
    checked = check_params(workspace.params, params, {**GENERAL, **sections})
    load_schema(checked["task"])
    write_atomic(workspace.parameters_checked, b"params.yaml is what the stages' parameters ask for\n")
