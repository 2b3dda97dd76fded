"""Requests as rows, each with its label. A label names a row of a request: of the newest under that id."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain, repeat
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from monitoring.log.stream import Columns, Requests

SHADOW: Final = "shadow"
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Told:
    """Labels as they were told, in any order."""

    request_id: tuple[str, ...]
    row: Ints
    received_us: Ints
    id: tuple[str, ...]
    value: NDArray[np.float64]  # 0 or 1

    @classmethod
    def of(cls, parts: Sequence[Columns]) -> Self:
        """Of columns in the order of the fields."""
        columns = [tuple(chain.from_iterable(part[i] for part in parts)) for i in range(5)]
        row, received = np.array(columns[1], np.int64), np.array(columns[2], np.int64)
        return cls(columns[0], row, received, columns[3], np.array(columns[4], np.float64))


class Answers:
    """Requests of which the newest under an id counts: those that were answered, or those of the shadow.

    Args:
        numbers: of the requests, the newest last.
    """

    def __init__(self, requests: Requests, numbers: Ints) -> None:
        self._requests = requests
        self._numbers = numbers.tolist()
        self._start = np.cumsum(requests.rows) - requests.rows
        ids = requests.request_id
        names = ids if self._numbers == list(range(len(ids))) else [ids[i] for i in self._numbers]
        self._newest = dict(zip(names, self._numbers, strict=True))  # of one id the last stays
        self.repeated = len(self._numbers) - len(self._newest)

    def places(self, told: Told) -> Ints:
        """[labels]: which of all rows each is about; -1: none of these."""
        request = np.fromiter(map(self._newest.get, told.request_id, repeat(-1)), np.int64, len(told.request_id))
        row = told.row - self._requests.first_row[request]
        known = (request >= 0) & (row >= 0) & (row < self._requests.rows[request])
        place = np.where(known, self._start[request] + row, -1)
        if self.repeated:
            self._find_earlier(place, told)
        return place

    def _find_earlier(self, place: Ints, told: Told) -> None:
        """Of an id that several requests have, a row that the newest one has not may be an earlier one's."""
        ids, first, rows = self._requests.request_id, self._requests.first_row, self._requests.rows
        repeated = {ids[i] for i in self._numbers if self._newest[ids[i]] != i}
        at = {
            (ids[i], int(first[i]) + k): int(self._start[i]) + k
            for i in self._numbers
            if ids[i] in repeated
            for k in range(int(rows[i]))
        }
        for i in np.flatnonzero(place < 0).tolist():
            place[i] = at.get((told.request_id[i], int(told.row[i])), -1)


def together(parts: Sequence[Requests]) -> Requests:
    """All of them, in their order; at least one."""
    columns: dict[str, Any] = {}
    for name in (field.name for field in fields(Requests)):
        values = [getattr(part, name) for part in parts]
        columns[name] = tuple(chain(*values)) if isinstance(values[0], tuple) else np.concatenate(values)
    return Requests(**columns)


def find_labels(requests: Requests, told: Told) -> tuple[NDArray[np.float64], int]:
    """Labels of the n rows: 0 or 1 as the newest says, NaN without one; and how many requests have a later one's id."""
    found = np.full(len(requests.score), np.nan)
    by_arrival = np.argsort(requests.received_us, kind="stable")
    if SHADOW in set(requests.role):
        shadows = np.array([role == SHADOW for role in requests.role], bool)[by_arrival]
        _assign(found, Answers(requests, by_arrival[shadows]).places(told), told)
        by_arrival = by_arrival[~shadows]
    answers = Answers(requests, by_arrival)
    _assign(found, answers.places(told), told)
    return found, answers.repeated


def _assign(found: NDArray[np.float64], place: Ints, told: Told) -> None:
    """Write each label at its place, the newest last."""
    named = np.flatnonzero(place >= 0)
    order = named[np.argsort(told.received_us[named], kind="stable")]
    several = np.bincount(place[named], minlength=len(found))[place[order]] > 1
    # Corrections: those of one instant are told apart by their ids, which count up.
    again = sorted(order[several].tolist(), key=lambda i: (int(told.received_us[i]), told.id[i]))
    order = np.concatenate([order[~several], np.array(again, np.int64)])
    found[place[order]] = told.value[order]
