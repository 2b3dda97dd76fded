"""Rows -> hours, in arrays: a million rows of 34 features take some seconds, most of them the reference scorer's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.schema import Category, Numeric
from monitoring.hours.hour import NAMES, REST, SCORE_BINS, STATES, VALUE_BINS, Counts, Hour, Scores, Sums
from monitoring.hours.yardstick import Yardstick
from monitoring.statistics.paired import row_losses

_TOGETHER: Final = 168  # hours that are counted in one go: tables of slices stay small
_MIX: Final = 0x9E3779B97F4A7C15  # an odd multiplier (Fibonacci hashing, Knuth 6.4), for rows that are equal


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one model in one role, in the order of their arrival.

    Attributes:
        hour: int64 [n], since 1970, UTC.
        row_id: [n] of str: request and number of the row in it.
        request: int64 [n], rows of one request have one number.
        numeric: float32 [n, k], NaN is missing; `category` str [n, c], "" is missing.
        score: [n] of the model; `label` float64 [n], 0 or 1, NaN: none.
        late: bool [n], whether the label came later than the objective allows.
    """

    hour: NDArray[np.int64]
    row_id: NDArray[Any]
    request: NDArray[np.int64]
    numeric: Numeric
    category: Category
    score: NDArray[np.float64]
    label: NDArray[np.float64]
    late: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.hour)

    def take(self, chosen: Any) -> "Rows":
        """Those of an index or a mask."""
        return Rows(*(getattr(self, name)[chosen] for name in self.__slots__))


def count(yardstick: Yardstick, rows: Rows, digest: str, role: str) -> list[Hour]:
    """The hours of some rows, in order; an hour without a row is not among them."""
    order = np.argsort(rows.hour, kind="stable")
    rows = rows.take(order) if np.any(np.diff(rows.hour) < 0) else rows
    names = np.unique(rows.hour)
    found: list[Hour] = []
    for start in range(0, len(names), _TOGETHER):
        some = names[start : start + _TOGETHER]
        span = slice(*np.searchsorted(rows.hour, [some[0], some[-1] + 1]))
        found += _Counting(yardstick, rows.take(span), some).hours(digest, role)
    return found


class _Counting:
    """Some hours of rows that are sorted by hour; `place` [n] is the position of a row's hour among them."""

    def __init__(self, yardstick: Yardstick, rows: Rows, names: NDArray[np.int64]) -> None:
        self.yardstick, self.rows, self.names = yardstick, rows, names
        self.place = np.searchsorted(names, rows.hour)
        self.starts = np.searchsorted(rows.hour, names)
        self.factors = [_factorise(column) for column in rows.category.T]

    def hours(self, digest: str, role: str) -> list[Hour]:
        rows, groups = self.rows, len(self.names)
        size = self._per_hour()
        missing = np.stack([self._per_hour(m) for m in (*np.isnan(rows.numeric).T, *(rows.category == "").T)], 1)
        bins, sums, low, high, distinct, novel = self._numbers()
        categories, unknown = self._categories()
        relations, off = self._relations()
        scores, slices = self._scores()
        requests = self._unique(rows.request)
        ids, same = size - self._unique(_hashed(rows.row_id)), size - self._unique(self._row_hash())
        late = self._per_hour(rows.late & ~np.isnan(rows.label))
        return [
            Hour(
                hour=int(self.names[g]), digest=digest, role=role, rows=int(size[g]), requests=int(requests[g]),
                repeated_rows=int(same[g]), repeated_ids=int(ids[g]), labels_late=int(late[g]), missing=missing[g],
                unknown=unknown[g], bins=bins[g], sums=sums[g], low=low[g], high=high[g], distinct=distinct[g],
                novel=novel[g],
                categories=categories[g], relations=relations[g], relations_off=off[g], scores=scores[g],
                slices=slices[g],
            )
            for g in range(groups)
        ]  # fmt: skip

    def _per_hour(self, chosen: NDArray[np.bool_] | None = None) -> Counts:
        """[hours] rows, or chosen ones."""
        return self._per_hour_of(self.place if chosen is None else self.place[chosen])

    def _per_hour_of(self, place: NDArray[np.int64]) -> Counts:
        return np.bincount(place, minlength=len(self.names))

    def _unique(self, values: NDArray[Any]) -> Counts:
        """[hours] different values of 64-bit integers, by 48 bits: two of 10,000 rows meet in an hour of 5 million."""
        mixed = (values.astype(np.uint64) * np.uint64(_MIX)) >> np.uint64(16)
        key = (self.place.astype(np.uint64) << np.uint64(48)) | mixed
        key.sort()
        first = np.append(True, np.diff(key) != 0)
        return np.bincount((key[first] >> np.uint64(48)).astype(np.int64), minlength=len(self.names))

    def _numbers(self) -> tuple[Counts, Sums, Sums, Sums, Counts, Counts]:
        groups, width = len(self.names), self.rows.numeric.shape[1]
        bins = np.zeros((groups, width, VALUE_BINS), np.int64)
        sums = np.zeros((groups, width, 2))
        distinct, novel = np.zeros((groups, width), np.int64), np.zeros((groups, width), np.int64)
        for column, values in enumerate(self.rows.numeric.T):
            known = ~np.isnan(values)
            place, value = self.place[known], values[known]
            bin_ = np.searchsorted(self.yardstick.edges[column], value, side="right")
            counted = np.bincount(place * VALUE_BINS + bin_, minlength=groups * VALUE_BINS)
            bins[:, column] = counted.reshape(groups, VALUE_BINS)
            wide = value.astype(np.float64)
            sums[:, column, 0] = np.bincount(place, wide, groups)
            sums[:, column, 1] = np.bincount(place, wide**2, groups)
            # A float's bits with its hour above them: sorting integers is ten times faster than rows of two columns.
            key = (place.astype(np.int64) << 32) | (value + np.float32(0)).view(np.uint32).astype(np.int64)
            key.sort()
            first = np.diff(key, prepend=-1) != 0
            distinct[:, column] = np.bincount((key[first] >> 32), minlength=groups)
            novel[:, column] = self._per_hour_of(place[_is_new(value, self.yardstick.values[column])])
        with np.errstate(all="ignore"):
            low = np.fmin.reduceat(self.rows.numeric, self.starts, axis=0).astype(np.float64)
            high = np.fmax.reduceat(self.rows.numeric, self.starts, axis=0).astype(np.float64)
        return bins, sums, low, high, distinct, novel

    def _categories(self) -> tuple[list[tuple[dict[str, int], ...]], Counts]:
        groups = len(self.names)
        found: list[list[dict[str, int]]] = [[] for _ in range(groups)]
        unknown = np.zeros((groups, len(self.factors)), np.int64)
        for column, (code, names) in enumerate(self.factors):
            counted = np.bincount(self.place * len(names) + code, minlength=groups * len(names)).reshape(groups, -1)
            strange = [name != "" and name not in self.yardstick.vocabulary[column] for name in names]
            unknown[:, column] = counted[:, strange].sum(axis=1)
            for g in range(groups):
                found[g].append(_most_frequent(counted[g], names))
        return [tuple(one) for one in found], unknown

    def _relations(self) -> tuple[Sums, Counts]:
        groups, relations = len(self.names), self.yardstick.relations
        sums, off = np.zeros((groups, len(relations), 3)), np.zeros((groups, len(relations)), np.int64)
        for index, relation in enumerate(relations):
            residual = relation.residual(self.rows.numeric)
            known = ~np.isnan(residual)
            place, value = self.place[known], np.clip(residual[known], -1e3, 1e3)
            sums[:, index, 0] = np.bincount(place, minlength=groups)
            sums[:, index, 1] = np.bincount(place, value, groups)
            sums[:, index, 2] = np.bincount(place, value**2, groups)
            off[:, index] = np.bincount(place[np.abs(value) > relation.limit], minlength=groups)
        return sums, off

    def _row_hash(self) -> NDArray[np.uint64]:
        """[n] of all features of a row."""
        bits = (self.rows.numeric + np.float32(0)).view(np.uint32).astype(np.uint64)
        hashed = np.zeros(len(self.rows), np.uint64)
        for column in (*bits.T, *(code.astype(np.uint64) for code, _ in self.factors)):
            hashed = (hashed ^ column) * np.uint64(_MIX)
            hashed ^= hashed >> np.uint64(29)
        return hashed

    def _scores(self) -> tuple[list[Scores], list[dict[str, Scores]]]:
        scored = _Scored(self.yardstick, self.rows)
        groups = len(self.names)
        whole = scored.by(self.place, groups)
        slices: list[dict[str, Scores]] = [{} for _ in range(groups)]
        for name, code, names in self._sliced():
            place = self.place * len(names) + code
            for group, scores in zip(*_filled(scored, place, groups * len(names)), strict=True):
                hour, value = divmod(int(group), len(names))
                if len(slices[hour]) < NAMES:
                    slices[hour][f"{name}={names[value]}"] = scores
        return whole, slices

    def _sliced(self) -> Iterator[tuple[str, NDArray[np.int64], Sequence[str]]]:
        """Each feature that rows are sliced by, the value's place [n] among its names, and these."""
        schema = self.yardstick.schema
        for name in schema.sliced_categories:
            yield name, *self.factors[schema.category_names.index(name)]
        for ranges in schema.sliced_numbers:
            values = self.rows.numeric[:, schema.numeric_names.index(ranges.feature)]
            yield ranges.feature, ranges.code(values), ranges.names


class _Scored:
    """What each row adds to `Scores`, whatever it is grouped by."""

    def __init__(self, yardstick: Yardstick, rows: Rows) -> None:
        self.label, self.score = rows.label, rows.score
        self.state = np.where(np.isnan(rows.label), 0, 1 + (rows.label > 0.5)).astype(np.int64)
        self.bin = _bin(rows.score)
        others = (yardstick.scorer, yardstick.challenger)
        self.others = [None if one is None else one(rows.numeric, rows.category) for one in others]
        self.labelled = np.flatnonzero(self.state > 0)
        truth = rows.label[self.labelled]
        self.loss = [row_losses(truth, rows.score[self.labelled])]
        self.loss += [
            np.full(len(truth), np.nan) if one is None else row_losses(truth, one[self.labelled]) for one in self.others
        ]

    def by(self, place: NDArray[np.int64], groups: int) -> list[Scores]:
        """One for each group, by the group [n] of each row."""
        shape, size = (groups, STATES, SCORE_BINS), groups * STATES * SCORE_BINS
        at = (place * STATES + self.state) * SCORE_BINS
        counts = np.bincount(at + self.bin, minlength=size).reshape(shape)
        reference = np.zeros_like(counts)
        if self.others[0] is not None:
            reference = np.bincount(at + _bin(self.others[0]), minlength=size).reshape(shape)
        sums = np.bincount(place * STATES + self.state, self.score, groups * STATES).reshape(groups, STATES)
        mine = place[self.labelled]
        # `bincount` of no rows counts in integers.
        loss = np.stack([np.bincount(mine, one, groups) for one in self.loss], 1).astype(np.float64)
        ahead = [self.loss[0] - one for one in self.loss[1:]]
        paired = np.stack(
            [np.stack([np.bincount(mine, one, groups), np.bincount(mine, one**2, groups)], 1) for one in ahead], 1
        ).astype(np.float64)
        for other in (0, 1):  # a group without labels has sums of 0 also where nobody scored
            if self.others[other] is None:
                loss[:, other + 1], paired[:, other] = np.nan, np.nan
        return [Scores(counts[g], sums[g], loss[g], paired[g], reference[g]) for g in range(groups)]


def _filled(scored: _Scored, place: NDArray[np.int64], groups: int) -> tuple[NDArray[np.int64], list[Scores]]:
    """The groups that have rows, and their scores: most hours lack most names."""
    filled = np.flatnonzero(np.bincount(place, minlength=groups))
    return filled, scored.by(np.searchsorted(filled, place), len(filled))


def _is_new(value: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each is none of these, ascending; all are known where there are none."""
    if len(values) == 0:
        return np.zeros(len(value), bool)
    return np.asarray(values[np.minimum(np.searchsorted(values, value), len(values) - 1)] != value)


def _bin(score: NDArray[Any]) -> NDArray[np.int64]:
    return np.clip((np.asarray(score, np.float64) * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)


def _factorise(values: NDArray[Any]) -> tuple[NDArray[np.int64], list[str]]:
    import pandas as pd

    code, names = pd.factorize(values)
    return code.astype(np.int64), [str(name) for name in names]


def _hashed(values: NDArray[Any]) -> NDArray[np.uint64]:
    return _factorise(values)[0].astype(np.uint64)


def _most_frequent(counted: Counts, names: list[str]) -> dict[str, int]:
    filled = np.flatnonzero(counted)
    order = filled[np.argsort(-counted[filled], kind="stable")]
    found = {names[i]: int(counted[i]) for i in order[:NAMES]}
    if rest := int(counted[order[NAMES:]].sum()):
        found[REST] = found.get(REST, 0) + rest
    return found
