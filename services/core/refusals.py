"""Refused requests in the service's log: at most one line a second for each protocol and code, with the number of those
that it stands for. So clients that err cannot fill a disk. Metrics count every one of them.
"""

import logging
import threading
import time
from typing import Final

from contracts.errors import Code

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 1.0


class Refusals:
    """What was refused, by kind. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged: dict[tuple[str, Code], float] = {}
        self._left_out: dict[tuple[str, Code], int] = {}

    def refused(
        self,
        protocol: str,
        code: Code,
        text: str,
        request_id: str = "",
        caller: str = "",
        duration_us: int | None = None,
    ) -> None:
        """Report a refusal.

        Args:
            text: what the client was told. The log gets its rule alone: after "got" it may show an input.
            request_id: the caller's own, if that is known yet.
            caller: name of the token; "" when there is none or it is not known.
        """
        if code == "internal":
            return  # `services.core.status` has logged it, with its trace
        kind, now = (protocol, code), time.monotonic()
        with self._lock:
            if now - self._logged.get(kind, -EVERY_SECONDS) < EVERY_SECONDS:
                self._left_out[kind] = self._left_out.get(kind, 0) + 1
                return
            self._logged[kind] = now
            left_out = self._left_out.pop(kind, None)
        told = {"protocol": protocol, "code": code, "request_id": request_id, "caller": caller}
        rule = text.partition(", got ")[0]
        logger.info("refused: %s", rule, extra=told | {"duration_us": duration_us, "left_out": left_out})

    def flush(self) -> None:
        """Report what was left out since, when the second is over and nothing else of its kind came."""
        now = time.monotonic()
        with self._lock:
            over = [kind for kind in self._left_out if now - self._logged[kind] >= EVERY_SECONDS]
            found = [(kind, self._left_out.pop(kind)) for kind in over]
            self._logged |= dict.fromkeys(over, now)
        for (protocol, code), left_out in found:
            logger.info("refused more", extra={"protocol": protocol, "code": code, "left_out": left_out})


_refusals: Final = Refusals()  # of this process, which has one log
refused: Final = _refusals.refused
flush: Final = _refusals.flush
