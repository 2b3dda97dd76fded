"""A release makes its model champion, whatever rows say; MLflow's alias goes with the champion."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from cli import main
from contracts.store.state import Desired
from contracts.workspace import Workspace
from monitoring.log.database import open_log
from monitoring.log.desired import append_desired, newest_desired
from registry.connection import connected
from tests.support.runs import package_candidate
from tests.unit.registry.test_release import change_model


@pytest.fixture
def workspace(project: Path, params: dict[str, Any]) -> Workspace:
    package_candidate(project, params)
    return Workspace(project)


@pytest.fixture
def engine(workspace: Workspace) -> Iterator[sa.Engine]:
    engine = open_log(f"sqlite:///{workspace.state / 'predictions.db'}")
    yield engine
    engine.dispose()


def windsock(workspace: Workspace, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--root", str(workspace.root)])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()[-1]


def two_releases(workspace: Workspace, params: dict[str, Any]) -> tuple[str, str]:
    """The second is the champion."""
    first = windsock(workspace, "release")
    change_model(workspace.root)
    package_candidate(workspace.root, params)
    return first, windsock(workspace, "release")


def champion(engine: sa.Engine, workspace: Workspace) -> str:
    """Whom the service would serve."""
    pointer = (workspace.store / "champion").read_text()
    desired = newest_desired(engine, pointer)
    return pointer if desired is None else desired.champion


def alias(workspace: Workspace) -> str:
    with connected(workspace) as client:
        version = client.get_model_version_by_alias("flight-delay", "champion")
        return str(version.tags["digest"])


def test_a_release_that_moves_the_pointer_needs_no_row(
    workspace: Workspace, params: dict[str, Any], engine: sa.Engine
) -> None:
    first, second = two_releases(workspace, params)
    assert champion(engine, workspace) == second
    assert newest_desired(engine, first) is None
    assert newest_desired(engine, second) is None


def test_a_release_of_the_pointer_s_own_model_takes_the_role_back(
    workspace: Workspace, params: dict[str, Any], engine: sa.Engine
) -> None:
    first, second = two_releases(workspace, params)
    windsock(workspace, "models", "set", "--champion", first, "--no-wait")
    assert champion(engine, workspace) == first
    windsock(workspace, "release", "--digest", second[:12])
    assert champion(engine, workspace) == second
    row = newest_desired(engine, second)
    windsock(workspace, "release", "--digest", second[:12])
    assert newest_desired(engine, second) == row  # it is so already


def test_roles_of_an_earlier_time_of_the_pointer_do_not_come_back(
    workspace: Workspace, params: dict[str, Any], engine: sa.Engine
) -> None:
    first, second = two_releases(workspace, params)
    append_desired(engine, Desired(champion=first, challenger=second, weight=0.5, base=first), 1, "tests", "")
    windsock(workspace, "release", "--digest", first[:12])
    row = newest_desired(engine, first)
    assert row is not None
    assert (row.champion, row.challenger) == (first, None)


def test_a_release_while_the_database_is_away_changes_nothing(
    workspace: Workspace, params: dict[str, Any], engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_releases(workspace, params)
    monkeypatch.setenv("WINDSOCK_DATABASE_URL", "postgresql+psycopg://u@127.0.0.1:9/d")
    result = CliRunner().invoke(main, ["release", "--digest", first[:12], "--root", str(workspace.root)])
    assert result.exit_code == 1
    assert "the prediction log" in result.output
    assert (workspace.store / "champion").read_text() == second


def test_a_log_of_an_earlier_version_has_no_roles_and_is_no_obstacle(workspace: Workspace) -> None:
    workspace.state.mkdir(parents=True)
    old = sa.create_engine(f"sqlite:///{workspace.state / 'predictions.db'}")
    with old.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE predictions (request_id TEXT)")
    old.dispose()
    assert windsock(workspace, "release") == (workspace.store / "champion").read_text()


def test_mlflow_s_alias_goes_with_the_champion(workspace: Workspace, params: dict[str, Any], engine: sa.Engine) -> None:
    first, second = two_releases(workspace, params)
    assert alias(workspace) == second
    windsock(workspace, "models", "set", "--challenger", first, "--weight", "0.1", "--no-wait")
    assert alias(workspace) == second
    windsock(workspace, "models", "promote", "--no-wait")
    assert alias(workspace) == first
    windsock(workspace, "models", "rollback", "--no-wait")
    assert alias(workspace) == second


def test_without_mlflow_s_registry_roles_change_all_the_same(
    workspace: Workspace, params: dict[str, Any], engine: sa.Engine
) -> None:
    first, _ = two_releases(workspace, params)
    workspace.mlflow_database.unlink()
    windsock(workspace, "models", "set", "--champion", first, "--no-wait")
    assert champion(engine, workspace) == first
    assert not workspace.mlflow_database.exists()
