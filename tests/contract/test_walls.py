"""The walls between the rooms: `lint-imports` on a copy refuses imports, modules and rooms that are not listed."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPTIONS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in OPTIONS["root_packages"]:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests/support").mkdir(parents=True)
    for name in ("tests/__init__.py", "tests/support/__init__.py", "tests/support/walls.py"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def lint(checkout: Path) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("lint-imports", path=Path(sys.executable).parent)
    assert program is not None, "import-linter must be beside this Python, as `make install` puts it"
    environment = {**os.environ, "PYTHONPATH": str(checkout), "COLUMNS": "300"}
    command = [program, "--no-cache"]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def refused(checkout: Path, file: str, text: str) -> str:
    """What `lint-imports` says while a file holds this text."""
    path = checkout / file
    before = path.read_bytes() if path.exists() else None
    made = not path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    try:
        done = lint(checkout)
    finally:
        if before is not None:
            path.write_bytes(before)
        elif made:
            shutil.rmtree(path.parent)
        else:
            path.unlink()
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_the_checkout_keeps_its_walls(checkout: Path) -> None:
    done = lint(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "each room imports what it is allowed, and nothing else of ours KEPT" in done.stdout


@pytest.mark.parametrize(
    ("room", "imported"),
    [
        # The lists of what was forbidden let these pass.
        ("services.core", "services.rest"),
        ("services.wire", "services.process"),
        ("services.core", "monitoring"),
        ("monitoring.log", "monitoring.monitor"),
        ("monitoring.metrics", "monitoring.boards"),
        ("monitoring.statistics", "monitoring.log"),
        ("deploy.cluster", "services.rest"),
        ("demo", "cli"),
        # One of each other room.
        ("services.rest", "services.grpc"),
        ("services.grpc", "services.rest"),
        ("services.companion", "services.core"),
        ("services.process", "monitoring.monitor"),
        ("services.process", "monitoring.boards"),
        ("services.process", "tasks"),
        ("models", "monitoring.statistics"),
        ("registry", "monitoring.monitor"),
        ("tasks", "pipelines"),
        ("registry", "pipelines"),
        ("pipelines", "services.core"),
        ("contracts", "web"),
        ("web", "contracts"),
        ("monitoring.monitor", "registry"),
        ("monitoring.boards", "demo"),
        ("deploy.local", "demo"),
    ],
)
def test_an_arrow_that_is_not_listed_is_refused(checkout: Path, room: str, imported: str) -> None:
    said = refused(checkout, f"{room.replace('.', '/')}/__init__.py", f"import {imported}\n")
    assert f"{room} (line 1) must not import {imported}; allowed: " in said


@pytest.mark.parametrize(
    "code",
    [
        "def later() -> None:\n    from registry import keys\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from registry import keys\n",
        "import registry.keys as keys\n",
        "from monitoring.log import reader\nfrom registry import keys\n",
    ],
)
def test_an_import_counts_wherever_it_stands(checkout: Path, code: str) -> None:
    assert "must not import registry.keys" in refused(checkout, "services/core/__init__.py", code)


def test_the_package_above_rooms_imports_nothing(checkout: Path) -> None:
    said = refused(checkout, "monitoring/__init__.py", "from contracts import errors\n")
    assert "monitoring (line 1) must not import contracts.errors; allowed: nothing of ours" in said


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ("attic/__init__.py", "attic is a new room"),
        ("attic/things.py", "attic is a new room"),
        ("helpers.py", "helpers is a new room"),
        ("services/helpers.py", "services.helpers belongs to no room"),
        ("monitoring/attic/__init__.py", "monitoring.attic belongs to no room"),
        ("deploy/ports.py", "deploy.ports belongs to no room"),
    ],
)
def test_a_new_room_or_module_is_refused_until_it_is_listed(checkout: Path, file: str, fault: str) -> None:
    assert fault in refused(checkout, file, "")


def test_a_list_for_a_room_that_is_not_there_is_refused(checkout: Path) -> None:
    text = (checkout / "pyproject.toml").read_text()
    assert "\nweb = []\n" in text
    said = refused(checkout, "pyproject.toml", text.replace("\nweb = []\n", '\nweb = []\ncellar = ["attic"]\n'))
    assert "`cellar` is listed and does not exist" in said
    assert "`attic` is listed and does not exist" in said


@pytest.mark.parametrize("importer", ["tasks/other", "tasks", "pipelines", "demo", "cli"])
def test_a_task_is_loaded_by_its_name(checkout: Path, importer: str) -> None:
    """No other task and no room imports it: they would be written for it."""
    said = refused(checkout, f"{importer}/__init__.py", "from tasks.flights import schema\n")
    assert "must not import tasks.flights.schema; tasks.flights is loaded by its name" in said


@pytest.mark.parametrize(
    ("room", "package"),
    [
        *(("services.core", name) for name in ("torch", "pandas", "mlflow", "dvc", "sklearn", "evidently")),
        *(("contracts", name) for name in ("torch", "pandas", "mlflow", "dvc", "onnxruntime")),
        *(("web", name) for name in ("numpy", "matplotlib")),
        ("monitoring.log", "torch"),
        ("models", "mlflow"),
    ],
)
def test_a_package_that_has_no_place_in_a_room_is_refused(checkout: Path, room: str, package: str) -> None:
    assert f"import {package}" in refused(checkout, f"{room.replace('.', '/')}/__init__.py", f"import {package}\n")
