"""Intervals of what was counted."""

import math
from typing import Final

_Z: Final = 1.959964  # of 95 %, two-sided


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Interval of a share, 95 % (Wilson 1927).

    >>> [round(end, 3) for end in wilson(45, 50)]
    [0.786, 0.957]
    """
    share, z = hits / of, _Z**2 / of
    middle, half = share + z / 2, _Z * math.sqrt(share * (1 - share) / of + z / (4 * of))
    return (middle - half) / (1 + z), (middle + half) / (1 + z)
