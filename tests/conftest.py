"""What the whole session shares: a tiny signed artifact, and one real `windsock serve` on free ports."""

from collections.abc import Iterator

import pytest

from tests.support.serving import Server, Store, start
from tests.support.tiny import write_store


@pytest.fixture(scope="session")
def artifact_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("artifact")
    return Store(folder / "store", folder / "signing.pub", write_store(folder))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, artifact_store: Store) -> Iterator[Server]:
    """The one service of the session. Tests that end or break a service start their own with `start`."""
    running = start(tmp_path_factory.mktemp("server"), artifact_store)
    yield running
    assert running.stop() == 0, running.log()
