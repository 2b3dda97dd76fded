"""Changes of roles: each is checked in full first, and is one row more in the database."""

import time
from dataclasses import dataclass

import msgspec

from contracts.artifact import Artifact
from contracts.errors import ArtifactInvalid, ParameterError
from contracts.store.state import Desired
from monitoring.log.desired import append_desired, history
from registry.roles.place import Place


@dataclass(frozen=True, slots=True)
class Wish:
    """What `windsock models set` is asked for. None: as it is. Digests may be the beginnings of some.

    Attributes:
        no_challenger: take the challenger's role away; `no_shadow`, the shadow's.
    """

    champion: str | None = None
    challenger: str | None = None
    weight: float | None = None
    shadow: str | None = None
    no_challenger: bool = False
    no_shadow: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """`before` and `now`: equal, where what was asked for is so already."""

    before: Desired
    now: Desired


def set_roles(place: Place, wish: Wish, by: str, reason: str) -> Changed:
    """Give roles to models.

    Raises:
        ParameterError: an unknown or ambiguous digest, a model in two roles, a weight without a challenger or outside
            0 to 1, nothing asked for, or replicas with several pointers.
        ArtifactInvalid: a model that does not verify, or is of another task or schema; or no pointer.
        Unavailable: the database is away.
        DataError: somebody else has changed the roles meanwhile, or the database has other tables.
    """
    if wish == Wish():
        raise ParameterError("`models set` must be told what to change, got nothing; see `windsock models set --help`")
    before = place.current()
    return _say(place, before, _wished(place, before, wish), by, reason)


def promote(place: Place, by: str, reason: str) -> Changed:
    """Make the challenger champion. Raises as `set_roles`; without a challenger, ParameterError."""
    before = place.current()
    if before.challenger is None:
        raise ParameterError(
            "`challenger` must be a model, got none to promote; `windsock models set --challenger` gives one the role"
        )
    return _say(place, before, crowned(before, before.challenger), by, reason)


def roll_back(place: Place, by: str, reason: str) -> Changed:
    """Make the former champion of this pointer's history champion again. A second time goes forth again.

    Raises:
        ParameterError: no other model has been champion under this pointer. Otherwise as `set_roles`.
    """
    before = place.current()
    former = [change.desired.champion for change in history(place.engine, before.base)]
    champion = next((digest for digest in (*former, before.base) if digest != before.champion), None)
    if champion is None:
        raise ParameterError(
            f"`rollback` must find a former champion, got none but {before.champion[:12]} since it was released; "
            "`windsock release --digest` goes back to a former release"
        )
    return _say(place, before, crowned(before, champion), by, reason)


def _wished(place: Place, before: Desired, wish: Wish) -> Desired:
    for name in ("challenger", "shadow"):
        if getattr(wish, name) is not None and getattr(wish, f"no_{name}"):
            raise ParameterError(f"`{name}` must be given or taken away, got both; leave out one of them")
    challenger = None if wish.no_challenger else before.challenger
    if wish.challenger is not None:
        challenger = place.find(wish.challenger)
    if wish.weight is not None and challenger is None:
        raise ParameterError(f"`weight` must come with a challenger, got {wish.weight:g} and none; give --challenger")
    if wish.weight is not None and not 0 <= wish.weight <= 1:
        raise ParameterError(f"`weight` must be from 0 to 1, got {wish.weight:g}; it is the challenger's share")
    if wish.weight is None and challenger is not None and before.challenger is None:
        raise ParameterError("`weight` must come with a new challenger, got none; give --weight, its share of requests")
    weight = before.weight if wish.weight is None else wish.weight
    shadow = None if wish.no_shadow else before.shadow
    return Desired(
        champion=before.champion if wish.champion is None else place.find(wish.champion),
        challenger=challenger,
        weight=0.0 if challenger is None else weight,
        shadow=shadow if wish.shadow is None else place.find(wish.shadow),
        base=before.base,
    )


def crowned(before: Desired, champion: str) -> Desired:
    """The same with another champion, who has no other role any more."""
    challenger = None if before.challenger == champion else before.challenger
    return Desired(
        champion=champion,
        challenger=challenger,
        weight=0.0 if challenger is None else before.weight,
        shadow=None if before.shadow == champion else before.shadow,
        base=before.base,
    )


def _say(place: Place, before: Desired, wanted: Desired, by: str, reason: str) -> Changed:
    named, was = wanted.digests(), before.digests()
    for role, digest in named.items():
        other = next((other for other, same in named.items() if same == digest and other != role), None)
        if other is not None:
            raise ParameterError(
                f"`{other}` must be another model than the {role}, got {digest[:12]} for both; take one role away"
            )
    if alike(wanted, before):
        return Changed(before, before)
    # A model that keeps its role is not asked again: its damage must not stand in the way of a better one.
    given = {role: digest for role, digest in named.items() if was.get(role) != digest}
    if given:
        like = _like(place, before)
        for role, digest in given.items():
            _check_alike(role, place.model(digest), like)
    for digest in given.values():
        place.share(digest)
    return Changed(before, append_desired(place.engine, wanted, _now_us(), by, reason, after=before.sequence))


def _like(place: Place, before: Desired) -> Artifact:
    """A model that what is served now is like. A champion that is damaged must not stand in the way of another one."""
    try:
        return place.model(before.champion)
    except ArtifactInvalid:
        if before.champion == before.base:
            raise
        return place.model(before.base)


def _check_alike(role: str, model: Artifact, like: Artifact) -> None:
    for what, found, expected in (
        ("task", model.manifest.name, like.manifest.name),
        ("schema", model.manifest.schema_hash[:12], like.manifest.schema_hash[:12]),
    ):
        if found != expected:
            raise ArtifactInvalid(
                f"`{role}` must be of the champion's {what} {expected}, got {model.version} of {found}; "
                "release it to a service of its own"
            )


def alike(one: Desired, other: Desired) -> bool:
    """Whether they say the same; rows differ by their numbers."""
    return msgspec.structs.replace(one, sequence=0) == msgspec.structs.replace(other, sequence=0)


def _now_us() -> int:
    return time.time_ns() // 1000
