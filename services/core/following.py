"""Follows desired state: loads the models that are wanted, verified and warmed up, then swaps all by one assignment.

A model that does not verify, is of another task or schema, or gives no probabilities is refused and reported; what was
there before answers on. A wanted champion that is refused leaves all roles as they are; a challenger or shadow that is
refused leaves its role empty.
"""

import logging
import os
import threading
import time
from pathlib import Path
from typing import Final

from contracts.artifact import verify
from contracts.errors import ArtifactInvalid, DataError, WindsockError
from contracts.store import CHAMPION, find_model, read_pointer, wanted
from contracts.store.state import ROLES, Desired, Refused, ReplicaState, Role, State
from monitoring.metrics.declared import Metrics
from services.core.model import Model
from services.core.predictor import Predictor
from services.core.roles import Roles

logger = logging.getLogger(__name__)
LOOK_SECONDS: Final = 0.1
REPORT_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 5.0  # after a refusal
KEPT: Final = 4  # loaded models that have no role now, so that the way back takes no time


class Models:
    """Loads models by digest, and keeps the newest. Not thread-safe.

    Attributes:
        refused: why, by role, of the last `load_roles`.
    """

    def __init__(self, store: Path, state: State, public_key: Path) -> None:
        self._store, self._state, self._public_key = store, state, public_key
        self._loaded: dict[str, Model] = {}  # the one that was used last comes last
        self.refused: dict[Role, Refused] = {}

    def wanted(self) -> Desired:
        """Raises `ArtifactInvalid` where the store has no pointer."""
        return wanted(self._store, self._state)

    def pointer(self) -> str:
        return read_pointer(self._store)

    def load_first(self) -> Roles:
        """The roles to start with. A wanted champion that is refused leaves the pointer's.

        Raises:
            ArtifactInvalid: the pointer's champion cannot be served.
        """
        desired = self.wanted()
        roles = self.load_roles(desired, None)
        if roles is not None:
            return roles
        refused = self.refused
        if desired.champion == self.pointer():
            raise ArtifactInvalid(refused["champion"].why)
        alone = self.load_roles(Desired(champion=self.pointer(), base=self.pointer()), None)
        if alone is None:
            raise ArtifactInvalid(self.refused["champion"].why)
        self.refused = refused
        return alone

    def load_roles(self, desired: Desired, now: Roles | None) -> Roles | None:
        """The wanted models. None: the champion is refused.

        Args:
            now: what is served, which every model must be like; None: nothing is.
        """
        self.refused = {}
        alike = None if now is None else now.champion
        champion = self._load("champion", desired.champion, alike)
        if champion is None:
            return None
        challenger = self._load("challenger", desired.challenger, champion)
        return Roles(
            champion,
            challenger,
            desired.weight if challenger is not None else 0.0,
            self._load("shadow", desired.shadow, champion),
            desired.sequence,
        )

    def _load(self, role: Role, digest: str | None, alike: Model | None) -> Model | None:
        if digest is None:
            return None
        try:
            model = self._loaded.pop(digest, None) or Model(
                verify(find_model(digest, self._store, self._state), self._public_key, digest)
            )
            if alike is not None:
                _check_alike(model, alike)
        except (WindsockError, OSError) as error:
            self.refused[role] = Refused(role, digest, str(error), time.time())
            return None
        self._loaded[digest] = model
        while len(self._loaded) > KEPT + len(ROLES):
            del self._loaded[next(iter(self._loaded))]
        return model


def _check_alike(model: Model, champion: Model) -> None:
    for what, found, expected in (
        ("task", model.name, champion.name),
        ("schema", model.schema_hash, champion.schema_hash),
    ):
        if found != expected:
            raise ArtifactInvalid(
                f"`{model.digest[:12]}` must be of the {what} {expected[:24]}, got {found[:24]}; "
                "serve it from a service of its own"
            )


class Follower:
    """Keeps a predictor's roles as they are wanted, from a thread of its own."""

    def __init__(self, predictor: Predictor, models: Models, state: State, store: Path, metrics: Metrics) -> None:
        self._predictor, self._models, self._state, self._metrics = predictor, models, state, metrics
        self._watched = (store / CHAMPION, state.desired)
        self._report_path = state.replicas / f"{os.getpid()}.json"
        self._seen = self._signature()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="roles", daemon=True)
        self._tell()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(5)
        self._report_path.unlink(missing_ok=True)

    def _signature(self) -> tuple[object, ...]:
        """Changes when a file that says what is wanted does."""
        found: list[object] = []
        for path in self._watched:
            try:
                status = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return tuple(found)

    def _run(self) -> None:
        reported = retried = 0.0
        while not self._ended.wait(LOOK_SECONDS):
            try:
                signature, moment = self._signature(), time.monotonic()
                again = bool(self._models.refused) and moment - retried > RETRY_SECONDS
                if signature != self._seen or again:
                    self._seen, retried = signature, moment
                    self._follow()
                    reported = 0.0
                if moment - reported > REPORT_SECONDS:
                    reported = moment
                    self._report()
            except Exception:
                logger.exception("roles could not be followed, what is loaded serves on")

    def _follow(self) -> None:
        before, refused = self._predictor.roles, dict(self._models.refused)
        try:
            self._state.read_desired()  # one that is damaged says nothing: it is not the pointer's turn
            desired = self._models.wanted()
        except (ArtifactInvalid, DataError) as error:
            logger.warning("%s; what is loaded serves on", error)
            return
        roles = self._models.load_roles(desired, before)
        for role, told in self._models.refused.items():
            if role not in refused or refused[role].digest != told.digest:
                logger.error("%s %s is refused: %s", role, told.digest[:12], told.why)
        if roles is not None and roles != before:
            self._predictor.roles = roles  # requests that began with the old value end with it
            logger.info("%s", ", ".join(f"{role} {model.version}" for role, model in roles.all()))
        self._tell()

    def _tell(self) -> None:
        """Bring metrics and metadata up to date."""
        roles = self._predictor.roles
        self._predictor.refused = tuple(self._models.refused.values())
        self._metrics.set_models(dict(roles.all()))
        self._metrics.set_refused(set(self._models.refused))

    def _report(self) -> None:
        roles = self._predictor.roles
        try:
            state = ReplicaState(
                pid=os.getpid(),
                pointer=self._models.pointer(),
                sequence=roles.sequence,
                weight=roles.weight,
                loaded={role: model.digest for role, model in roles.all()},
                refused=tuple(self._models.refused.values()),
                at=time.time(),
            )
            self._state.write(self._report_path, state)
        except (OSError, ArtifactInvalid) as error:  # a full disk: the spool's own check tells of it
            logger.debug("the replica's state is not written: %s", error)
