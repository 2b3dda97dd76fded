"""A stage by its name: its module is imported, and gets what its `main` asks for.

    main(workspace, *, task, as_of, seed, parameters, params)

`parameters` is the stage's own section of params.yaml, `params` the whole file as plain data, to be recorded; the
others are keys beside the sections. A stage names those that it reads, so it cannot depend on others.
"""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

from contracts.workspace import Workspace
from pipelines.params_yaml import GENERAL, check_params, read_params


def run_stage(name: str, root: Path) -> None:
    """Run the stage in the workspace at `root`, with what it reads of params.yaml there.

    Raises:
        ParameterError: a key of params.yaml that the stage reads is missing or wrong.
        WindsockError: whatever the stage raises.
    """
    module = import_module(f"pipelines.stages.{name}")
    workspace = Workspace(root)
    asked = set(inspect.signature(module.main).parameters) - {"workspace"}
    raw = read_params(workspace.params)
    keys: dict[str, Any] = {key: kind for key, kind in GENERAL.items() if key in asked}
    if "parameters" in asked:
        keys[name] = module.Parameters
    given = check_params(workspace.params, {key: value for key, value in raw.items() if key in keys}, keys)
    if "parameters" in asked:
        given["parameters"] = given.pop(name)
    if "params" in asked:
        given["params"] = raw
    module.main(workspace, **given)
