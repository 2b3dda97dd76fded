"""What `windsock models` shows: the store's models, which role each shall have, and what each replica has."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from contracts.errors import ArtifactInvalid, WindsockError
from contracts.settings import MonitorSettings
from contracts.store import read_pointer
from contracts.store.state import Desired
from monitoring.log.desired import Replica
from registry.roles.place import LIVE_SECONDS, looked_at
from registry.roles.words import loaded_line, role_of
from registry.store import Stored, list_models


@dataclass(frozen=True, slots=True)
class Overview:
    """
    Attributes:
        desired: None: nothing was released.
        fault: why `desired` may not be what is in force; None: it is.
    """

    models: Sequence[Stored]
    desired: Desired | None
    replicas: Sequence[Replica] = field(default_factory=list)
    fault: str | None = None

    def lines(self) -> Iterator[str]:
        """A line a model, the newest first, then what the replicas have."""
        for model in self.models:
            yield _model_line(model, self.desired)
        stored = {model.digest for model in self.models}
        for digest in self.desired.digests().values() if self.desired else ():
            if digest not in stored:
                yield f"{_star(digest, self.desired)} {digest[:12]}  not in this store{_role(digest, self.desired)}"
        if self.replicas:
            yield ""
        for replica in self.replicas:
            yield from _replica_lines(replica)


def look(settings: MonitorSettings) -> Overview:
    """Read store and database; one that is away is told, and the pointer alone is shown."""
    models = list_models(settings.store, settings.public_key)
    try:
        pointer = read_pointer(settings.store)
    except ArtifactInvalid:
        alone = None
    else:
        alone = Desired(champion=pointer, base=pointer)
    replicas: Sequence[Replica] = []
    try:
        with looked_at(settings) as place:
            if place is None:
                return Overview(models, alone)
            replicas = place.shown()
            if alone is None and not place.live():
                return Overview(models, None, replicas)
            return Overview(models, place.current(), replicas)
    except WindsockError as error:
        return Overview(models, alone, replicas, f"What the store's pointer says is shown: {error}")


def _model_line(model: Stored, desired: Desired | None) -> str:
    start = f"{_star(model.digest, desired)} {model.digest[:12]}"
    if model.artifact is None:
        return f"{start}  does not verify: {model.damage}{_role(model.digest, desired)}"
    manifest, made = model.artifact.manifest, model.artifact.provenance.created_at
    # Counts are shown whole, measures with the digits that an interval leaves them, those of slices not at all.
    shown = {
        name: f"{value:,.0f}" if value == int(value) else f"{value:.4f}"
        for name, value in manifest.metrics.items()
        if "/" not in name
    }
    figures = "  ".join(f"{name} {text}" for name, text in shown.items())
    return f"{start}  {made}  {manifest.released} as of {manifest.as_of}  {figures}{_role(model.digest, desired)}"


def _star(digest: str, desired: Desired | None) -> str:
    return "*" if desired is not None and digest == desired.champion else " "


def _role(digest: str, desired: Desired | None) -> str:
    role = "" if desired is None else role_of(digest, desired)
    return f"  {role}" if role else ""


def _replica_lines(replica: Replica) -> Iterator[str]:
    """What it has, and a line for each model that it refused."""
    silent, state = time.time() - replica.reported_us / 1e6, replica.state
    said = f"row {state.sequence}" if state.sequence else f"pointer {state.pointer[:12]}"
    stale = f"  stale: silent for {silent:.0f} s" if silent > LIVE_SECONDS else ""
    yield f"{replica.name}  {loaded_line(state)}  ({said}){stale}"
    for refused in state.refused:
        yield f"  refused {refused.role} {refused.digest[:12]}: {refused.why}"
