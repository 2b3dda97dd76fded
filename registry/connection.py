"""The way to MLflow: a server, or a database in the workspace that follows when the workspace is moved.

`artifacts/mlflow.db` is used unless MLFLOW_TRACKING_URI names a server. Neither is an output of DVC: DVC restores
outputs without running a stage, and people clear databases, so nothing here is needed to go on.
`mlflow` takes 2 s to import and is imported where it is used.
"""

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from contracts.errors import Unavailable
from contracts.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

# Columns of MLflow's tables that hold the absolute address of a file below the experiment's folder.
_LOCATIONS: Final = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@contextmanager
def connected(workspace: Workspace) -> Iterator["MlflowClient"]:
    """A client of the tracking server and registry, or of the local database, which is made when missing.

    Raises:
        Unavailable: whatever MLflow or its database refuses while the client is in use.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # MLflow's own 7 wait for four minutes
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # below it MLflow logs a line for each table that it makes
    server = os.environ.get("MLFLOW_TRACKING_URI")
    uri = server or f"sqlite:///{workspace.mlflow_database.resolve()}"
    workspace.mlflow_database.parent.mkdir(exist_ok=True)
    try:
        if not server and workspace.mlflow_database.is_file():
            _follow_move(workspace)
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        message = (
            f"MLflow at `{uri}` must answer, got: {str(error).splitlines()[0]}; start it or correct "
            "MLFLOW_TRACKING_URI, or move a damaged artifacts/mlflow.db away, and run again"
        )
        raise Unavailable(re.sub("//[^/@]*@", "//", message)) from error  # without user and password


def experiment(client: "MlflowClient", workspace: Workspace, name: str) -> str:
    """Return the id of the task's experiment, made when missing.

    Args:
        name: of the schema.
    """
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # A server has a place of its own; beside a mere database MLflow would take the current folder.
    location = None if client.tracking_uri.startswith("http") else _location(workspace)
    return str(client.create_experiment(name, artifact_location=location))


def _location(workspace: Workspace) -> str:
    return workspace.mlflow_artifacts.resolve().as_uri()


def _follow_move(workspace: Workspace) -> None:
    """Rewrite the addresses in the database when the workspace is no longer where they say.

    MLflow keeps absolute addresses only. All change in one transaction, so a kill leaves all old or all new ones.
    """
    here = _location(workspace)
    with closing(sqlite3.connect(workspace.mlflow_database)) as database:
        existing = {str(name) for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "experiments" not in existing:
            return
        # MLflow's own experiment "Default", which nothing of ours uses, has another form of address.
        ours = "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE 'file://%/artifacts/mlruns'"
        moved = [str(old) for (old,) in database.execute(ours) if old != here]
        with database:
            for old in moved:
                logger.debug("MLflow's files were at %s: the database now says %s", old, here)
                for table, column in _LOCATIONS:
                    if table in existing:
                        _replace_prefix(database, table, column, old, here)


def _replace_prefix(database: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    statement = (
        f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "  # noqa: S608 - our own constants
        f"WHERE {column} = :old OR substr({column}, 1, length(:old) + 1) = :old || '/'"
    )
    database.execute(statement, {"old": old, "new": new})
