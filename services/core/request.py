"""A prediction request without its transport, its answer, and the rules for ids and instants."""

import itertools
import secrets
import time
import typing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from contracts.errors import InvalidInput, TooLarge
from contracts.reports.monitoring import Protocol
from contracts.schema import Category, Numeric
from contracts.store.state import Role
from monitoring.spool.frames import Prediction, predictions_frame

if TYPE_CHECKING:
    from services.core.model import Model

MAX_ROWS: Final = 8_192  # a request
MAX_BYTES: Final = 16 * 2**20  # a request: 8,192 named records are about 8 MiB
MAX_ID_LENGTH: Final = 128
MAX_KEY_LENGTH: Final = 256
_EPOCH: Final = datetime(1970, 1, 1)
# Of instants in years 1 to 9999, microseconds since 1970.
_FIRST_US: Final = -62_135_596_800_000_000
_LAST_US: Final = 253_402_300_799_999_999

# Ids of ours: this process's number, drawn at random, and a counter. No clock that jumps can repeat one.
_PROCESS: Final = secrets.token_hex(8)
_numbers = itertools.count()


def new_id() -> str:
    """An id that no other request has, on any machine."""
    return f"{_PROCESS}{next(_numbers):08x}"


@dataclass(slots=True)
class PredictionRequest:
    """Rows to score, without their transport.

    Attributes:
        id: the caller's name for it; "": it gave none.
        event_us: the caller's clock, microseconds since 1970 UTC; 0: the time of arrival.
        started: `perf_counter` at the arrival of the last byte.
        caller: name of the token; "": no token is asked for.
        version: of the model that is asked for; "": any.
        key: chooses between champion and challenger, the same one for the same key; "": the id.
        probe: asks whether the service answers; it is not logged.
    """

    protocol: Protocol
    numeric: Numeric
    category: Category
    id: str = ""
    event_us: int = 0
    started: float = field(default_factory=time.perf_counter)
    caller: str = ""
    version: str = ""
    key: str = ""
    probe: bool = False

    def __post_init__(self) -> None:
        if self.id:
            check_id(self.id)
        if len(self.key) > MAX_KEY_LENGTH:
            raise InvalidInput(
                f"`key` must have at most {MAX_KEY_LENGTH} characters, got {len(self.key)}; send a shorter one"
            )


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    Attributes:
        scores: float32 [n], probability of the positive outcome.
        prediction_id: ours, unique.
        id: the caller's; ours when it gave none.
        role: of the model that answered.
    """

    scores: NDArray[np.float32]
    prediction_id: str
    id: str
    role: Role
    model: "Model"


class Trace(typing.Protocol):
    """Told of each request that ended, when traces are on."""

    def __call__(
        self, name: str, started: float, code: str, *, answer: Answer | None, request_id: str, caller: str, parent: str
    ) -> None:
        """Tell.

        Args:
            name: protocol and call.
            started: `perf_counter` when it began.
            code: of `contracts.errors`, or ok.
            parent: W3C's `traceparent`, as the client sent it; "": none.
        """


def to_frame(
    request: PredictionRequest,
    ours: str,
    role: Role,
    model: "Model",
    scores: NDArray[np.float32],
    times: tuple[int, int],
) -> bytes:
    """A scored request as the spool takes it.

    Args:
        ours: our id for it.
        scores: float32 [n].
        times: when it was received, microseconds since 1970, and how long it took, microseconds.
    """
    received_us, duration_us = times
    return predictions_frame(
        Prediction(
            ours,
            request.id or ours,
            model.digest,
            role,
            model.schema_hash,
            request.protocol,
            request.caller,
            request.event_us or received_us,
            received_us,
            duration_us,
            len(scores),
            request.numeric.tobytes(),
            "\0".join(request.category.ravel().tolist()).encode(),
            scores.tobytes(),
        )
    )


def check_id(request_id: str) -> str:
    """Ids are database keys: short, and without the control characters that PostgreSQL refuses."""
    if not request_id or len(request_id) > MAX_ID_LENGTH or not request_id.isprintable():
        raise InvalidInput(
            f"`id` must be 1 to {MAX_ID_LENGTH} printable characters, got {request_id[:MAX_ID_LENGTH]!r}; "
            "leave it out, and the service makes one"
        )
    return request_id


def check_size(rows: int) -> None:
    """Refuse more rows than a request may have (`TooLarge`)."""
    if rows > MAX_ROWS:
        raise TooLarge(f"a request must have at most {MAX_ROWS} rows, got {rows}; split it")


def now_us() -> int:
    """Microseconds since 1970, UTC."""
    return time.time_ns() // 1_000


def to_us(instant: datetime | None) -> int:
    """Microseconds since 1970; 0 for None. An instant without a zone is UTC already.

    Raises:
        InvalidInput: outside the years 1 to 9999 of UTC.
    """
    if instant is None:
        return 0
    since = instant - (_EPOCH if instant.tzinfo is None else _EPOCH.replace(tzinfo=UTC))
    found = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not _FIRST_US <= found <= _LAST_US:
        raise InvalidInput(f"an instant must be in the years 1 to 9999 of UTC, got {instant}; correct it")
    return found
