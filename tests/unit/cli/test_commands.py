"""The table of commands says what the commands say, and an image without one's module runs the others."""

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli import COMMANDS, main
from tests.support.manifests import ROOT

# An editable installation would find what the folder lacks.
_WITHOUT_THE_CHECKOUT = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
from cli import main
main(prog_name="windsock")
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_short_help_of_the_table_is_that_of_the_command(name: str) -> None:
    found = main.get_command(click.Context(main), name)
    assert found is not None
    assert found.get_short_help_str(limit=200) == COMMANDS[name][2]


def test_a_command_needs_no_module_of_another(tmp_path: Path) -> None:
    for name in ("__init__", "__main__", "options", "service"):
        (tmp_path / "cli").mkdir(exist_ok=True)
        shutil.copy(ROOT / f"cli/{name}.py", tmp_path / "cli")
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts")
    command = [sys.executable, "-c", _WITHOUT_THE_CHECKOUT]
    listed = subprocess.run([*command, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in listed.split("Commands:")[1].strip().splitlines()] == [
        "companion",
        "serve",
        "tokens",
    ]
    subprocess.run([*command, "serve", "--help"], cwd=tmp_path, capture_output=True, check=True)
    refused = subprocess.run([*command, "stack"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (refused.returncode, "No such command 'stack'" in refused.stderr) == (2, True)
