"""Ids that callers gave: the same rows under one again are the same prediction, other rows are refused.

What is known is this process's, and for a while: beyond it both predictions are kept in the log and counted there.
"""

import threading
from typing import Final

from contracts.errors import Conflict
from services.core.request import PredictionRequest, new_id

KNOWN: Final = 65_536  # ids
SECONDS: Final = 600.0


class Repeats:
    """The newest ids, the rows that came under them, and our ids for them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, str, int]] = {}  # the oldest first

    def first(self, request: PredictionRequest, moment: int) -> tuple[str, int]:
        """Our id for a request that has a caller's one, and when it first came, microseconds since 1970.

        Both are part of the log's key: a repeat is the row that is there already.

        Args:
            moment: now, microseconds since 1970.

        Raises:
            Conflict: the id stands for other rows.
        """
        rows = hash((request.numeric.tobytes(), tuple(request.category.ravel().tolist())))
        with self._lock:
            known = self._known.get(request.id)
            if known is not None and moment - known[2] <= SECONDS * 1e6:
                if known[0] != rows:
                    raise Conflict(
                        f"`id` must stand for one request, got {request.id!r} with other rows than before; "
                        "choose a new one"
                    )
                return known[1:]
            self._known.pop(request.id, None)
            found = new_id(), moment
            self._known[request.id] = (rows, *found)
            if len(self._known) > KNOWN:
                del self._known[next(iter(self._known))]
            return found
