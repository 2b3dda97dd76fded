"""The champion in force: what is monitored is what the service shall serve, and a row of roles may name another one."""

from pathlib import Path

from contracts.artifact import Artifact, verify
from contracts.errors import DataError
from contracts.store import read_pointer, verify_files
from monitoring.log.database import opened
from monitoring.log.desired import get_artifact, newest_desired


def champion_in_force(store: Path, public_key: Path, database_url: str) -> Artifact:
    """Load the model that the newest row of roles names for the store's pointer, or the pointer's own, and verify it.

    Raises:
        ArtifactInvalid: no pointer, or a model that does not verify or is neither in the store nor in the database.
        Unavailable: the database does not answer.
    """
    pointer = read_pointer(store)
    with opened(database_url) as engine:
        try:
            desired = newest_desired(engine, pointer)
        except DataError:  # no tables, or those of a version without roles: who reads the rows says so
            desired = None
        digest = pointer if desired is None else desired.champion
        files = None if (store / digest).is_dir() else get_artifact(engine, digest)
    return verify(store / digest, public_key, digest) if files is None else verify_files(files, public_key, digest)
