"""The evidence of a gate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled rows after both as-of dates, which neither model used to choose anything.

    Attributes:
        label: bool [n].
        champion, candidate: float64 [n], scores of the same rows.
        day: int64 [n], ordinal of the local day (`date.toordinal`).
        slices: masks [n] by name, "origin=JFK".
    """

    label: NDArray[np.bool_]
    champion: NDArray[np.float64]
    candidate: NDArray[np.float64]
    day: NDArray[np.int64]
    slices: Mapping[str, NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def none(cls) -> "Rows":
        """No row at all."""
        nothing = np.zeros(0)
        return cls(np.zeros(0, bool), nothing, nothing, np.zeros(0, np.int64), {})

    def take(self, chosen: Any) -> "Rows":
        """Those of an index or a mask."""
        slices = {name: mask[chosen] for name, mask in self.slices.items()}
        return Rows(self.label[chosen], self.champion[chosen], self.candidate[chosen], self.day[chosen], slices)
