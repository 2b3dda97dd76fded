"""Ten weeks of a tiny model's traffic, whose outcomes follow its scores."""

from pathlib import Path

import pytest

from cli.incidents import make_world
from contracts.objectives import Objectives
from contracts.store import load_champion
from monitoring.incidents.simulator import World
from tests.support.tiny import write_workspace

DAYS = 72


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_workspace(tmp_path_factory.mktemp("workspace"), DAYS)


@pytest.fixture(scope="session")
def world(workspace: Path) -> World:
    artifact = load_champion(workspace / "store", workspace / "signing.pub")
    return make_world(artifact, workspace / "data/features.parquet", Objectives())
