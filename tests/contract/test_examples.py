"""Examples in docstrings say what the code does: each module that has one is run by doctest."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "contracts",
    "tasks",
    "models",
    "pipelines",
    "registry",
    "services",
    "monitoring",
    "web",
    "deploy",
    "demo",
    "cli",
)
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_right(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert (found.failed, found.attempted > 0) == (0, True)


def test_the_examples_that_explain_most_are_there() -> None:
    assert {"monitoring.monitor.calendar", "monitoring.statistics.quality"} <= set(MODULES)
