"""What `predictions` says of requests: which columns are fetched, and how their bytes become arrays."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from contracts.errors import DataError
from monitoring.log.rows.fetching import Columns, integers, lengths, separators
from monitoring.log.schema import PREDICTIONS

_p: Final = PREDICTIONS.c
_COLUMNS: Final = (
    *(_p.event_us, _p.received_us, _p.duration_us, _p.first_row, _p.rows, _p.numeric, _p.category, _p.score),
)
_NUMBERS: Final = slice(2, 7)  # of what is fetched, beside request id and origin
_CODES: Final = "abcdefghijklmnop"


@dataclass(frozen=True, slots=True)
class Width:
    """Numbers and categories of a row: a schema has one of each at least."""

    numeric: int
    category: int


class Origin(NamedTuple):
    """Who answered, as what, over which protocol."""

    digest: str
    role: str
    protocol: str


@dataclass(frozen=True, slots=True)
class Requests:
    """m requests with n rows in all, those of one request together."""

    request_id: list[str]
    origin: NDArray[np.int64]  # [m], as all until `rows`: places in `origins`
    event_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    duration_us: NDArray[np.int64]
    first_row: NDArray[np.int64]
    rows: NDArray[np.int64]
    numeric: NDArray[np.float32]  # [n, width.numeric], NaN is missing
    category: NDArray[np.object_]  # [n, width.category] of str
    score: NDArray[np.float32]  # [n]
    origins: list[Origin]


class Origins:
    """How a request's origin comes out of the database: a character for those that the first requests have, else words.

    A value of a database is an object: three long strings a request would be a quarter of the time.

    Args:
        first: digest, role and protocol of some of the requests that are read.
    """

    def __init__(self, first: Iterable[tuple[str, str, str]]) -> None:
        self._codes = dict(zip(_CODES, sorted({Origin(*words) for words in first}), strict=False))

    def select(self) -> sa.Select[Any]:
        """What `Decoder` takes, of all of `predictions`."""
        words: sa.ColumnElement[str] = _p.digest + " " + _p.role + " " + _p.protocol
        known = [
            ((_p.digest == one.digest) & (_p.role == one.role) & (_p.protocol == one.protocol), code)
            for code, one in self._codes.items()
        ]
        return sa.select(_p.request_id, sa.case(*known, else_=words) if known else words, *_COLUMNS)

    def decode(self, text: str) -> Origin:
        return self._codes.get(text) or Origin(*text.split(" "))


class Decoder:
    """Gathers fetched columns. Equal strings become one object, which is most of the memory that rows would take.

    Args:
        width: of the rows that are wanted; None: whatever the first has, and all must have it.
        origins: whose `select` is fetched.

    Attributes:
        rows: gathered so far.
        other_rows: rows of another width, which were left out.
    """

    def __init__(self, width: Width | None, origins: Origins) -> None:
        self.width = width
        self.rows = 0
        self.other_rows = 0
        self._strict = width is None
        self._decode = origins.decode
        self._request_id: list[str] = []
        self._origins: dict[str, int] = {}
        self._numbers: list[list[NDArray[np.int64]]] = []  # origin, then those of `_NUMBERS`
        self._numeric, self._score = bytearray(), bytearray()
        self._strings: dict[str, str] = {}
        self._category: list[NDArray[np.object_]] = []

    def add(self, columns: Columns) -> None:
        """Those of the wanted width.

        Args:
            columns: as `fetch` gives them.

        Raises:
            DataError: rows of several widths where one is expected.
        """
        columns = self._wanted(columns)
        if not columns[0]:
            return
        numeric, category, score = columns[-3:]
        self._request_id.extend(columns[0])
        for origin in set(columns[1]):
            self._origins.setdefault(origin, len(self._origins))
        self._numbers.append(
            [integers(tuple(map(self._origins.__getitem__, columns[1]))), *map(integers, columns[_NUMBERS])]
        )
        self._numeric += b"".join(numeric)
        self._score += b"".join(score)
        strings = b"\0".join(category).decode().split("\0")
        self._category.append(np.array(list(map(self._strings.setdefault, strings, strings)), object))
        self.rows = len(self._score) // 4

    def requests(self) -> Requests:
        """All that was gathered."""
        width = self.width or Width(0, 0)
        numbers = [np.concatenate(parts) for parts in zip(*self._numbers, strict=True)]
        origin, event, received, duration, first, rows = numbers or [np.empty(0, np.int64)] * 6
        return Requests(
            request_id=self._request_id,
            origin=origin,
            event_us=event,
            received_us=received,
            duration_us=duration,
            first_row=first,
            rows=rows,
            numeric=np.frombuffer(self._numeric, "<f4").reshape(self.rows, width.numeric),
            category=np.concatenate(self._category or [np.empty(0, object)]).reshape(self.rows, width.category),
            score=np.frombuffer(self._score, "<f4"),
            origins=[self._decode(text) for text in self._origins],
        )

    def _wanted(self, columns: Columns) -> Columns:
        rows, numeric, category = integers(columns[-4]), columns[-3], columns[-2]
        numbers, cells = lengths(numeric) // 4, separators(category) + 1
        if self.width is None:
            self.width = Width(int(numbers[0] // rows[0]), int(cells[0] // rows[0]))
        fits = (numbers == rows * self.width.numeric) & (cells == rows * self.width.category)
        if fits.all():
            return columns
        if self._strict:
            found = {(int(a), int(b)) for a, b in zip(numbers // rows, cells // rows, strict=True)}
            raise DataError(
                f"rows that are read together must be of one schema, got {sorted(found)} numbers and categories; "
                "ask for those of one"
            )
        self.other_rows += int(rows[~fits].sum())
        keep = np.flatnonzero(fits).tolist()
        return [tuple(column[i] for i in keep) for column in columns]
