"""What the database says about models: which shall have which role, their files, and what each replica has loaded.

`roles` is only added to: its newest row for a pointer counts, and all of them are the history. Whether a model may
have a role is the caller's to check (`registry.roles`); here it is written down and read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from contracts.artifact import FILES
from contracts.errors import DataError
from contracts.store.state import Desired, ReplicaState
from monitoring.log.database import asked, exclusively
from monitoring.log.schema import ARTIFACTS, REPLICAS, ROLES

_INSERT: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the history: what was to be from then on, when (microseconds since 1970), by whom and why."""

    desired: Desired
    changed_us: int
    changed_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Replica:
    """What one replica said last, and when, by the clock of its companion: microseconds since 1970."""

    name: str
    state: ReplicaState
    reported_us: int


def newest_desired(engine: sa.Engine, base: str) -> Desired | None:
    """The newest word about the roles under this pointer; None: nobody has said any.

    Raises:
        Unavailable: the database does not answer.
        DataError: it has the tables of another version, or none.
    """
    changes = history(engine, base, 1)
    return changes[0].desired if changes else None


def history(engine: sa.Engine, base: str | None = None, limit: int = 100) -> list[Change]:
    """The newest changes of roles, the newest first.

    Args:
        base: only those under this pointer; None: all.

    Raises:
        Unavailable, DataError: as `newest_desired`.
    """
    query = sa.select(ROLES).order_by(ROLES.c.sequence.desc()).limit(limit)
    if base is not None:
        query = query.where(ROLES.c.base == base)
    with asked(engine) as connection:
        return [_change(row) for row in connection.execute(query)]


def append_desired(
    engine: sa.Engine, desired: Desired, changed_us: int, changed_by: str, reason: str, *, after: int | None = None
) -> Desired:
    """Add a word about the roles under `desired.base`, whose `sequence` is not looked at.

    Args:
        after: sequence of the newest row under that pointer, as its writer knows it; 0: there is none; None: any.

    Returns:
        What was written, with its sequence.

    Raises:
        DataError: somebody else has changed the roles since `after`; nothing was written.
        Unavailable: the database does not answer or takes no writes.
    """
    values = {name: getattr(desired, name) for name in ("base", "champion", "challenger", "weight", "shadow")} | {
        "changed_us": changed_us,
        "changed_by": changed_by,
        "reason": reason,
    }
    with asked(engine, exclusively) as connection:
        newest = connection.scalar(sa.select(sa.func.max(ROLES.c.sequence)).where(ROLES.c.base == desired.base)) or 0
        if after is not None and newest != after:
            raise DataError(
                f"the roles must be as they were at number {after}, got number {newest}: somebody has changed them "
                "meanwhile; look at `windsock models` and say it again"
            )
        written = connection.execute(sa.insert(ROLES).values(values)).inserted_primary_key
    return msgspec.structs.replace(desired, sequence=written[0] if written else 0)


def put_artifact(engine: sa.Engine, digest: str, files: Mapping[str, bytes]) -> None:
    """Keep a model's files for whoever has the database and no store. What is there already stays.

    Args:
        files: name -> content, for all of `contracts.artifact.FILES`.

    Raises:
        DataError: a file is missing, or one too many.
        Unavailable: the database does not answer or takes no writes.
    """
    if set(files) != set(FILES):
        raise DataError(f"`files` must be {', '.join(FILES)}, got {', '.join(sorted(files))}; give all of a model")
    rows = [{"digest": digest, "name": name, "content": content} for name, content in files.items()]
    with asked(engine) as connection:
        connection.execute(_INSERT[engine.dialect.name](ARTIFACTS).on_conflict_do_nothing(), rows)


def get_artifact(engine: sa.Engine, digest: str) -> dict[str, bytes] | None:
    """A model's files, name -> content, as they were put there: to be verified. None: it is not in the database.

    Raises:
        Unavailable, DataError: as `newest_desired`.
    """
    query = sa.select(ARTIFACTS.c.name, ARTIFACTS.c.content).where(ARTIFACTS.c.digest == digest)
    with asked(engine) as connection:
        return {name: bytes(content) for name, content in connection.execute(query)} or None


def artifact_digests(engine: sa.Engine) -> list[str]:
    """Digests of the models in the database, sorted.

    Raises:
        Unavailable, DataError: as `newest_desired`.
    """
    with asked(engine) as connection:
        found = connection.scalars(sa.select(ARTIFACTS.c.digest).distinct().order_by(ARTIFACTS.c.digest))
        return [str(digest) for digest in found]


def report_replicas(engine: sa.Engine, states: Mapping[str, ReplicaState], reported_us: int) -> None:
    """Note what replicas have loaded, by their names; an earlier report of the same name is replaced.

    Raises:
        Unavailable: the database does not answer or takes no writes.
    """
    if not states:
        return
    rows = [
        {"name": name, "state": msgspec.json.encode(state).decode(), "reported_us": reported_us}
        for name, state in states.items()
    ]
    statement = _INSERT[engine.dialect.name](REPLICAS)
    new = {"state": statement.excluded.state, "reported_us": statement.excluded.reported_us}
    with asked(engine) as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=new), rows)


def replicas(engine: sa.Engine, since_us: int) -> list[Replica]:
    """Those that reported since then (microseconds since 1970), by name. What another version wrote is left out.

    Raises:
        Unavailable, DataError: as `newest_desired`.
    """
    query = sa.select(REPLICAS).where(REPLICAS.c.reported_us >= since_us).order_by(REPLICAS.c.name)
    found = []
    with asked(engine) as connection:
        for row in connection.execute(query):
            try:
                state = msgspec.json.decode(row.state, type=ReplicaState)
            except msgspec.MsgspecError:
                continue
            found.append(Replica(row.name, state, row.reported_us))
    return found


def _change(row: Any) -> Change:
    desired = Desired(row.champion, row.challenger, row.weight, row.shadow, row.base, row.sequence)
    return Change(desired, row.changed_us, row.changed_by, row.reason)
