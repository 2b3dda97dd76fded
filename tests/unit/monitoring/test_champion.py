"""The monitor watches the model that shall be champion now, wherever its files are."""

import shutil
from datetime import timedelta

import pytest

from contracts.artifact import FILES, MODEL
from contracts.errors import ArtifactInvalid
from contracts.store.state import Desired
from monitoring.log.database import opened
from monitoring.log.desired import append_desired, put_artifact
from tests.support.tiny import tiny_model, write_store
from tests.unit.monitoring.conftest import FEW, World, recently


@pytest.fixture
def promoted(world: World) -> str:
    """Digest of a second model that a row makes champion; the store's pointer stays."""
    digest = write_store(world.root, tiny_model(known=("AA", "X")))
    (world.root / "store/champion").write_text(world.digest)
    with opened(world.database) as engine:
        append_desired(engine, Desired(champion=digest, base=world.digest), 1, "tests", "")
    world.log(world.flights("new", recently(hours=1), FEW, None, digest=digest))
    world.log(world.flights("old", recently(hours=1) - timedelta(minutes=5), FEW + 3, None))
    return digest


def test_the_window_is_that_of_the_promoted_model(world: World, promoted: str) -> None:
    report = world.run()
    assert report["release"]["digest"] == promoted
    assert report["window"]["models"] == {promoted: FEW}


def test_a_promoted_model_may_be_in_the_database_alone(world: World, promoted: str) -> None:
    folder = world.root / "store" / promoted
    with opened(world.database) as engine:
        put_artifact(engine, promoted, {name: (folder / name).read_bytes() for name in FILES})
    shutil.rmtree(folder)
    assert world.run()["release"]["digest"] == promoted


def test_a_promoted_model_is_verified_and_must_be_somewhere(world: World, promoted: str) -> None:
    (world.root / "store" / promoted / MODEL).write_bytes(b"another graph")
    with pytest.raises(ArtifactInvalid, match="must be signed"):
        world.run()
    shutil.rmtree(world.root / "store" / promoted)
    with pytest.raises(ArtifactInvalid, match="must hold"):
        world.run()


def test_under_another_pointer_the_row_does_not_count(world: World, promoted: str) -> None:
    third = write_store(world.root, tiny_model(known=("AA", "Y")))
    assert world.run()["release"]["digest"] == third
