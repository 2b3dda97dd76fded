"""Requests as rows, each with its label. A label names a row of a request: of the newest under that id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitoring.log.rows.decoding import Requests
from monitoring.log.rows.fetching import Columns, integers

SHADOW: Final = "shadow"
Ints = NDArray[np.int64]


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

    def places(self, names: Sequence[str], rows: Ints) -> Ints:
        """[labels]: which of all rows each is about; -1: none of these.

        Args:
            names: request ids.
            rows: their rows.
        """
        request = np.fromiter(map(self._newest.get, names, repeat(-1)), np.int64, len(names))
        row = rows - self._requests.first_row[request]
        known = (request >= 0) & (row >= 0) & (row < self._requests.rows[request])
        place = np.where(known, self._start[request] + row, -1)
        if self.repeated:
            for i in np.flatnonzero(place < 0).tolist():
                place[i] = self._earlier.get((names[i], int(rows[i])), -1)
        return place

    @cached_property
    def _earlier(self) -> dict[tuple[str, int], int]:
        """Rows of ids that several requests have: what the newest one has not may be an earlier one's."""
        ids, first, rows = self._requests.request_id, self._requests.first_row, self._requests.rows
        repeated = {ids[i] for i in self._numbers if self._newest[ids[i]] != i}
        return {
            (ids[i], int(first[i]) + k): int(self._start[i]) + k
            for i in self._numbers
            if ids[i] in repeated
            for k in range(int(rows[i]))
        }

    def names(self, places: Ints) -> set[str]:
        """Ids of the requests that these rows belong to."""
        requests = np.searchsorted(self._start, places, side="right") - 1
        return {self._requests.request_id[i] for i in requests.tolist()}


def group(requests: Requests) -> list[Answers]:
    """Those that were answered, and those of the shadow if there are any."""
    if bool((np.diff(requests.received_us) >= 0).all()) and all(one.role != SHADOW for one in requests.origins):
        return [Answers(requests, range(len(requests.rows)))]
    by_arrival = np.argsort(requests.received_us, kind="stable")
    shadow = np.array([one.role == SHADOW for one in requests.origins], bool)[requests.origin[by_arrival]]
    parts = [by_arrival[~shadow], by_arrival[shadow]] if shadow.any() else [by_arrival]
    return [Answers(requests, part.tolist()) for part in parts]


@dataclass(slots=True)
class _Told:
    """Labels of one group, as they were read."""

    place: list[Ints]
    received_us: list[Ints]
    value: list[Ints]


class Labels:
    """Labels of the n rows: 0 or 1 as the newest says, NaN without one."""

    def __init__(self, rows: int, groups: Sequence[Answers]) -> None:
        self.found = np.full(rows, np.nan)
        self._groups = groups

    def read(self, parts: Iterable[Columns]) -> set[str]:
        """Take in all labels.

        Args:
            parts: columns of request id, row, arrival and value, in any order; others may be among them.

        Returns:
            Ids of requests for which two were told at one instant, which differ: those of `settle`.
        """
        told = [_Told([], [], []) for _ in self._groups]
        for names, row, received, value in parts:
            rows, moments, values = integers(row), integers(received), integers(value)
            for one, answers in zip(told, self._groups, strict=True):
                place = answers.places(names, rows)
                known = place >= 0
                one.place.append(place[known])
                one.received_us.append(moments[known])
                one.value.append(values[known])
        disputed = set[str]()
        for one, answers in zip(told, self._groups, strict=True):
            if one.place:
                disputed |= answers.names(self._assign(*map(np.concatenate, (one.place, one.received_us, one.value))))
        return disputed

    def settle(self, rows: Iterable[tuple[str, int, int]]) -> None:
        """Take in request id, row and value of all labels of some requests, the newest last."""
        for name, row, value in rows:
            for answers in self._groups:
                (place,) = answers.places([name], np.array([row]))
                if place >= 0:
                    self.found[place] = value

    def _assign(self, place: Ints, received_us: Ints, value: Ints) -> Ints:
        """Write each label at its place, the newest last. Returns places of which the newest two are of one instant."""
        order = (
            np.lexsort((received_us, place)) if (np.diff(received_us) < 0).any() else np.argsort(place, kind="stable")
        )
        place, received_us, value = place[order], received_us[order], value[order]
        self.found[place] = value
        same = (np.diff(place) == 0) & (np.diff(received_us) == 0) & (np.diff(value) != 0)
        return np.unique(place[1:][same])
