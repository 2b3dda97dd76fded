"""Files in the state's folder, by which workers and companion tell each other what they must know.

desired.json          the companion's: which models have which role, as the database says
models/<digest>/      the companion's: models that came out of the database
replicas/<pid>.json   each worker's: which models it has, and which it refused
companion.json        the companion's: how the log moves
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from contracts.errors import DataError

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Role = Literal["champion", "challenger", "shadow"]
ROLES: tuple[Role, ...] = ("champion", "challenger", "shadow")


class Desired(msgspec.Struct, frozen=True):
    """Which models shall have which role.

    Attributes:
        champion: answers what the challenger does not.
        challenger: answers the share `weight` of the keys; None: there is none.
        shadow: scores what the others answer, for the log alone; None: there is none.
        base: the store's pointer for which this was said; under another pointer it does not count.
        sequence: of the row in the database; 0: the pointer alone says it.
    """

    champion: Digest
    challenger: Digest | None = None
    weight: Annotated[float, Meta(ge=0, le=1)] = 0.0
    shadow: Digest | None = None
    base: str = ""
    sequence: int = 0

    def digests(self) -> dict[Role, str]:
        """Those that are there, by role."""
        found: dict[Role, str | None] = {
            "champion": self.champion, "challenger": self.challenger, "shadow": self.shadow,
        }  # fmt: skip
        return {role: digest for role, digest in found.items() if digest is not None}


class Refused(msgspec.Struct, frozen=True):
    """A model that a worker did not take, and why. `at`: seconds since 1970."""

    role: Role
    digest: str
    why: str
    at: float


class ReplicaState(msgspec.Struct, frozen=True):
    """What one worker has loaded.

    Attributes:
        pointer: the digest that the store's pointer names there.
        sequence: of the row that it follows; 0: the pointer alone.
        loaded: digest by role.
        at: seconds since 1970.
    """

    pid: int
    pointer: str
    sequence: int
    weight: float
    loaded: dict[Role, str]
    refused: tuple[Refused, ...]
    at: float


class CompanionState(msgspec.Struct, frozen=True):
    """How the log moves.

    Attributes:
        at: seconds since 1970; a companion that lives writes it each half second.
        database_up: whether the last try to write succeeded.
        moved_rows: since the companion started.
        unmoved_rows: of the spool, not yet in the database.
        oldest_us: when the oldest of them was received, microseconds since 1970; 0: there are none.
        damaged: frames that were put aside since the companion started.
    """

    at: float
    database_up: bool
    moved_rows: int
    unmoved_rows: int
    oldest_us: int
    damaged: int


class State:
    """Paths below the state's folder, and what is read and written there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desired = folder / "desired.json"
        self.models = folder / "models"
        self.replicas = folder / "replicas"
        self.companion = folder / "companion.json"

    def read_desired(self) -> Desired | None:
        """None: the companion has written none, so the pointer alone counts.

        Raises:
            DataError: it is damaged.
        """
        return _read(self.desired, Desired)

    def read_companion(self) -> CompanionState | None:
        """None: there is none, or it is damaged."""
        try:
            return _read(self.companion, CompanionState)
        except DataError:
            return None

    def read_replicas(self) -> Iterator[ReplicaState]:
        """Of the workers that have not said goodbye; those that died may be among them."""
        for path in sorted(self.replicas.glob("*.json")):
            try:
                found = _read(path, ReplicaState)
            except DataError:
                continue
            if found is not None:
                yield found

    def write(self, path: Path, value: msgspec.Struct) -> None:
        """Replace a file in one step. It need not outlive a power loss: whoever wrote it writes it again.

        Raises:
            OSError: the disk is full or gone; the file is as it was.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            temporary.write_bytes(msgspec.json.encode(value))
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


Kind = TypeVar("Kind", bound=msgspec.Struct)


def _read(path: Path, kind: type[Kind]) -> Kind | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"`{path}` must be readable, got: {error.strerror}; correct the state's folder") from error
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"`{path}` must hold a {kind.__name__}, got: {error}; delete it") from error
