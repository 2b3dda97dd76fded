"""Requests as rows, each with its label. A label names a row of a request: of the newest under that id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from monitoring.log.stream import Columns, Requests, integers

SHADOW: Final = "shadow"
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Told:
    """Labels as they were told, in any order."""

    request_id: list[str]
    row: Ints
    received_us: Ints
    id: list[str]
    value: Ints  # 0 or 1

    @classmethod
    def of(cls, parts: Iterable[Columns]) -> Self:
        """Of columns in the order of the fields."""
        names, ids = list[str](), list[str]()
        rows, moments, values = ([np.empty(0, np.int64)] for _ in range(3))
        for name, row, received, own, value in parts:
            names.extend(name)
            ids.extend(own)
            rows.append(integers(row))
            moments.append(integers(received))
            values.append(integers(value))
        return cls(names, np.concatenate(rows), np.concatenate(moments), ids, np.concatenate(values))


class Answers:
    """Requests of which the newest under an id counts: those that were answered, or those of the shadow.

    Args:
        numbers: of the requests, the newest last.

    Attributes:
        repeated: how many have an id that a later one has, too.
    """

    def __init__(self, requests: Requests, numbers: Sequence[int]) -> None:
        self._requests = requests
        self._numbers = numbers
        self._start = np.cumsum(requests.rows) - requests.rows
        ids = requests.request_id
        names = ids if isinstance(numbers, range) else [ids[i] for i in numbers]
        self._newest = dict(zip(names, numbers, strict=True))  # of one id the last stays
        self.repeated = len(numbers) - len(self._newest)

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


def group(requests: Requests) -> list[Answers]:
    """Those that were answered, and those of the shadow if there are any."""
    if bool((np.diff(requests.received_us) >= 0).all()) and all(one.role != SHADOW for one in requests.origins):
        return [Answers(requests, range(len(requests.rows)))]
    by_arrival = np.argsort(requests.received_us, kind="stable")
    shadow = np.array([one.role == SHADOW for one in requests.origins], bool)[requests.origin[by_arrival]]
    parts = [by_arrival[~shadow], by_arrival[shadow]] if shadow.any() else [by_arrival]
    return [Answers(requests, part.tolist()) for part in parts]


def find_labels(rows: int, groups: Sequence[Answers], told: Told) -> NDArray[np.float64]:
    """[rows]: 0 or 1 as the newest label says, NaN without one."""
    found = np.full(rows, np.nan)
    for answers in groups:
        _assign(found, answers.places(told), told)
    return found


def _assign(found: NDArray[np.float64], place: Ints, told: Told) -> None:
    """Write each label at its place, the newest last."""
    named = np.flatnonzero(place >= 0)
    order = named[np.argsort(told.received_us[named], kind="stable")]
    several = np.bincount(place[named], minlength=len(found))[place[order]] > 1
    # Corrections: those of one instant are told apart by their ids, which count up.
    again = sorted(order[several].tolist(), key=lambda i: (int(told.received_us[i]), told.id[i]))
    order = np.concatenate([order[~several], np.array(again, np.int64)])
    found[place[order]] = told.value[order]
