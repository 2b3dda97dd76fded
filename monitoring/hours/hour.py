"""Sufficient statistics of one hour: all that watching asks of its rows, some kilobytes instead of the rows.

Histograms and sums add up, so a window of any length is the sum of its hours.
"""

import zlib
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.errors import DataError

Scorer = Literal["model", "reference", "challenger"]
SCORE_BINS: Final = 64  # equal bins of [0, 1]
VALUE_BINS: Final = 32  # between quantiles of the reference sample
STATES: Final = 3  # of a row: no label, negative, positive
NAMES: Final = 64  # of a category that are counted apart; the rest is "*"
REST: Final = "*"
FORMAT: Final = 2  # of the bytes
Counts = NDArray[np.int64]
Sums = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores and labels of all rows of an hour, or of one slice of them.

    Attributes:
        counts: int64 [3, 64], rows by label state and bin of the model's score.
        score_sum: float64 [3], of the model's scores by label state.
        loss: float64 [3], log-loss of the labelled rows in nats, by scorer; NaN: it did not score them.
        paired: float64 [2, 2], of the model's loss less that of the reference (of the challenger): sum and sum of
            squares over labelled rows; NaN: it did not score them.
        reference_counts: as `counts`, of the reference scorer's scores; zeros: there is none.
    """

    counts: Counts
    score_sum: Sums
    loss: Sums
    paired: Sums
    reference_counts: Counts


@dataclass(frozen=True, slots=True, eq=False)
class Hour:
    """One hour of one model in one role. Features are in the schema's order, numbers first: f = k + c.

    An hour is equal to itself alone and never changed, so what was made of it can be remembered.

    Attributes:
        hour: since 1970, UTC.
        repeated_rows: equal in every feature to an earlier row of the hour.
        repeated_ids: rows under an id and number that an earlier row of the hour has, too.
        labels_late: labelled rows whose label came later than the objective allows.
        missing: int64 [f].
        unknown: int64 [c], outside the vocabulary, the missing ones not counted.
        bins: int64 [k, 32], known values between the edges of the yardstick.
        sums: float64 [k, 2], of known values and of their squares.
        low, high: float64 [k], of known values; NaN: none.
        distinct: int64 [k], different known values.
        novel: int64 [k], known values that the yardstick's sample never has, of features with few values; else 0.
        categories: rows by name, for each category; "" is missing, "*" what comes after the 64 most frequent.
        relations: float64 [r, 3], rows that can be checked, sum and sum of squares of their standardised residuals.
        relations_off: int64 [r], rows beyond the relation's limit.
        slices: by "origin=JFK"; what no row has is left out.
    """

    hour: int
    digest: str
    role: str
    rows: int
    requests: int
    repeated_rows: int
    repeated_ids: int
    labels_late: int
    missing: Counts
    unknown: Counts
    bins: Counts
    sums: Sums
    low: Sums
    high: Sums
    distinct: Counts
    novel: Counts
    categories: tuple[dict[str, int], ...]
    relations: Sums
    relations_off: Counts
    scores: Scores
    slices: dict[str, Scores]


_SCORES: Final = tuple(field.name for field in fields(Scores))
_ARRAYS: Final = tuple(name for name, kind in get_type_hints(Hour).items() if kind in (Counts, Sums))
_PLAIN: Final = tuple(f.name for f in fields(Hour) if f.name not in (*_ARRAYS, "scores", "slices"))


def encode(hour: Hour) -> bytes:
    """An hour as bytes, some kilobytes: counts are mostly zeros."""
    content = {
        "format": FORMAT,
        "plain": {name: getattr(hour, name) for name in _PLAIN},
        "arrays": {name: _pack(getattr(hour, name)) for name in _ARRAYS},
        "scores": [_pack_scores(hour.scores)],
        "slices": {name: _pack_scores(scores) for name, scores in hour.slices.items()},
    }
    return zlib.compress(msgspec.msgpack.encode(content), 1)


def decode(content: bytes) -> Hour:
    """The hour of some bytes.

    Raises:
        DataError: they are not of this version.
    """
    try:
        found = msgspec.msgpack.decode(zlib.decompress(content))
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}")
        plain = found["plain"] | {"categories": tuple(found["plain"]["categories"])}
        arrays = {name: _unpack(value) for name, value in found["arrays"].items()}
        slices = {name: _unpack_scores(scores) for name, scores in found["slices"].items()}
        members: dict[str, Any] = plain | arrays | {"scores": _unpack_scores(found["scores"][0]), "slices": slices}
        return Hour(**members)
    except (zlib.error, msgspec.DecodeError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(
            f"a counted hour must be of format {FORMAT}, got: {error}; it is counted again from the log"
        ) from error


def _pack(values: NDArray[Any]) -> tuple[str, list[int], bytes]:
    narrow = values.astype(np.int32) if values.dtype == np.int64 else values
    return narrow.dtype.str, list(values.shape), narrow.tobytes()


def _unpack(packed: tuple[str, list[int], bytes]) -> NDArray[Any]:
    kind, shape, content = packed
    values = np.frombuffer(content, np.dtype(kind)).reshape(shape)
    return values.astype(np.int64 if values.dtype.kind == "i" else np.float64)


def _pack_scores(scores: Scores) -> list[Any]:
    return [_pack(getattr(scores, name)) for name in _SCORES]


def _unpack_scores(packed: list[Any]) -> Scores:
    return Scores(*(_unpack(one) for one in packed))
