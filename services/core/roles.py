"""Which model answers: champion and challenger by the request's key, the shadow beside them.

The choice is a pure function of key and weight: every process and replica makes the same one, and a key that goes to
the challenger at one weight goes there at every greater one.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from contracts.errors import NotFound
from contracts.store.state import Role
from services.core.model import Model

_RANGE: Final = 2.0**64


def place(key: str) -> float:
    """Where a key stands in [0, 1): evenly spread, by 64 bits of BLAKE2b."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little") / _RANGE


@dataclass(frozen=True, slots=True)
class Roles:
    """The loaded models by role. A change is another value, never another member.

    Attributes:
        weight: share of the keys that the challenger answers.
        sequence: of the row of desired state that this follows; 0: the store's pointer alone.
    """

    champion: Model
    challenger: Model | None = None
    weight: float = 0.0
    shadow: Model | None = None
    sequence: int = 0

    def choose(self, key: str, version: str = "") -> tuple[Role, Model]:
        """The model that answers a request.

        Args:
            version: of the model that is asked for; "": any.

        Raises:
            NotFound: no model that answers has this version.
        """
        if version:
            for role, model in self.answering():
                if model.version == version:
                    return role, model
            known = ", ".join(model.version for _, model in self.answering())
            raise NotFound(
                f"the version of `{self.champion.name}` must be one of {known}, got `{version}`; leave it out for any"
            )
        if self.challenger is not None and place(key) < self.weight:
            return "challenger", self.challenger
        return "champion", self.champion

    def answering(self) -> Iterator[tuple[Role, Model]]:
        """Champion and challenger: those whose answers leave the service."""
        yield "champion", self.champion
        if self.challenger is not None:
            yield "challenger", self.challenger

    def all(self) -> Iterator[tuple[Role, Model]]:
        """Every loaded model, the champion first."""
        yield from self.answering()
        if self.shadow is not None:
            yield "shadow", self.shadow
