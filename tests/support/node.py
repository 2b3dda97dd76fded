"""npm packages of tests/contract/schemas/, installed once a session; without npm, what needs them is skipped."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

SCHEMAS = Path(__file__).parents[1] / "contract/schemas"


@cache
def _install(folder: Path) -> str:
    """Returns what went wrong; "" is nothing."""
    if shutil.which("npm") is None:
        return "npm is not installed"
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SCHEMAS / name, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return f"npm cannot install tests/contract/schemas: {run.stderr[-300:]}" if run.returncode else ""


def installed(factory: pytest.TempPathFactory, consequence: str) -> Path:
    """A folder with node_modules, or a skip that says what is not checked."""
    folder = factory.getbasetemp() / "schemas"
    folder.mkdir(exist_ok=True)
    if trouble := _install(folder):
        pytest.skip(f"{consequence}: {trouble}")
    return folder
