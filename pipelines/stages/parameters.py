"""Stage `parameters`: the whole of params.yaml is right.

DVC looks only at the keys that a stage names, so it calls an unknown key up to date. This stage depends on the
whole file; reading it (`contracts.params.load_params`) refused whatever is wrong before `main` was called.
"""

from pathlib import Path

from contracts.files import write_atomic
from contracts.params import Params

OUTPUT = "data/parameters.ok"


def main(root: Path, params: Params) -> None:  # noqa: ARG001 - having been read is all that is asked of it
    """Leave a file whose bytes never change, so that only a stage's own keys make it run again."""
    write_atomic(root / OUTPUT, b"params.yaml matches contracts/params.py\n")
