"""Counts what the rows of requests hold: scores, missing inputs, unknown categories.

A small request only leaves its arrays here; they are counted many at once, by numpy, when there are enough of them or
somebody looks. Counted one by one they would cost a request more than all other metrics together.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Histogram

from contracts.features import CATEGORY_NAMES, Category, Numeric

COUNTED_ROWS: Final = 256  # at once: 150 us of work, and a few KiB that wait


class ManyHistogram(Histogram):
    """A histogram that takes many values at once. prometheus-client has no way to add a count to a bucket, so this
    writes to its buckets; tests/unit/monitoring/test_row_counts.py compares it with `observe`."""

    def observe_many(self, values: NDArray[Any]) -> None:
        edges = self._upper_bounds  # a bucket holds what is at most its edge; the last is infinite
        counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges))
        self._sum.inc(float(values.sum(dtype=np.float64)))
        for i in np.flatnonzero(counts[: len(edges)]).tolist():
            self._buckets[i].inc(int(counts[i]))


class RowCounts:
    """
    Args:
        missing: a counter's `inc` for each feature, numbers first, in the contract's order.
        unknown: the same for each category.
    """

    def __init__(
        self,
        score: ManyHistogram,
        missing: Sequence[Callable[[float], None]],
        unknown: Sequence[Callable[[float], None]],
    ) -> None:
        self._score, self._missing, self._unknown = score, missing, unknown
        self._known: list[frozenset[str] | None] = [None] * len(unknown)
        self._lock = threading.Lock()
        self._waiting: list[tuple[Numeric, Category, NDArray[np.float32]]] = []
        self._rows = 0

    def know(self, vocabulary: dict[str, list[str]]) -> None:
        """From now on, a category that is not in its vocabulary is unknown. One without a vocabulary never is."""
        self._known = [frozenset(vocabulary[n]) if n in vocabulary else None for n in CATEGORY_NAMES]

    def add(self, numeric: Numeric, category: Category, scores: NDArray[np.float32]) -> None:
        """Rows that were answered. The arrays must not change any more. Thread-safe."""
        with self._lock:
            self._waiting.append((numeric, category, scores))
            self._rows += len(scores)
            if self._rows < COUNTED_ROWS:
                return
        self.count()

    def count(self) -> None:
        """Bring the metrics up to date. Thread-safe."""
        with self._lock:
            waiting, self._waiting, self._rows = self._waiting, [], 0
        if not waiting:
            return
        numeric, category, scores = (np.concatenate(arrays) for arrays in zip(*waiting, strict=True))
        self._score.observe_many(scores)
        absent = np.concatenate([np.isnan(numeric).sum(axis=0), (category == "").sum(axis=0)])
        for i in np.flatnonzero(absent).tolist():
            self._missing[i](int(absent[i]))
        for column, known, inc in zip(category.T.tolist(), self._known, self._unknown, strict=True):
            if known is not None and (count := sum(value != "" and value not in known for value in column)):
                inc(count)
