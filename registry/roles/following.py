"""How the replicas take a change of roles: loaded, refused with the reason, or silent."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from contracts.store.state import Desired, Refused, ReplicaState
from monitoring.log.desired import Replica
from registry.roles.place import Place

POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replica made of a change. `refused`: what it did not take, when `how` says so."""

    replica: str
    how: Literal["loaded", "refused", "silent"]
    refused: tuple[Refused, ...] = ()


def wait(place: Place, desired: Desired, before: Sequence[Replica], seconds: float) -> list[Outcome]:
    """Wait until each live replica has loaded or refused what is desired, or the time is over.

    Args:
        before: the replicas as they were before the change: what they had refused then is no answer to it.

    Returns:
        One outcome a replica; none: no replica reports.

    Raises:
        Unavailable: the database is away.
    """
    known = {replica.name: set(replica.state.refused) for replica in before}
    deadline = time.monotonic() + seconds
    while True:
        outcomes = [
            _outcome(replica.name, replica.state, desired, known.get(replica.name, set())) for replica in place.live()
        ]
        if all(outcome.how != "silent" for outcome in outcomes) or time.monotonic() > deadline:
            return outcomes
        time.sleep(POLL_SECONDS)


def _outcome(name: str, state: ReplicaState, desired: Desired, known: set[Refused]) -> Outcome:
    wanted = desired.digests()
    follows = state.sequence >= desired.sequence
    refused = tuple(
        one for one in state.refused if wanted.get(one.role) == one.digest and (follows or one not in known)
    )
    if refused:
        return Outcome(name, "refused", refused)
    return Outcome(name, "loaded" if follows else "silent")
