"""What the whole session shares: a tiny signed artifact, one real `windsock serve` on free ports, and PostgreSQL."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from contracts.errors import NotFound
from deploy.local.postgres import own_server
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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """PostgreSQL, as its superuser; skips with the reason where it is not installed."""
    try:
        with own_server() as url:
            yield url
    except NotFound as error:
        pytest.skip(str(error))


@pytest.fixture
def postgres(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of an empty database of its own."""
    name = f"test_{abs(hash(request.node.nodeid))}"
    engine = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield sa.make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()
