"""Counts prediction requests and what their rows hold, many at once.

A request only leaves its arrays and its duration here (.5 us). They are counted by numpy when there are enough of them,
or when somebody looks. Counted one by one they took a tenth of all requests a second; see `benchmarks/serving.py`.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Gauge, Histogram
from prometheus_client.samples import Exemplar

from contracts.errors import Code
from contracts.schema import Category, Numeric

MAX_EXEMPLAR: Final = 128 - len("request_id")  # characters of an id: OpenMetrics allows 128 with the name
COUNTED: Final = 256  # rows or requests at once: 300 us of work, and 50 KiB that wait
Inc = Callable[[float], None]
Scores = NDArray[np.float32]


class ManyHistogram(Histogram):
    """A histogram that takes many values at once. prometheus-client has no way to add a count to a bucket, so this
    writes to its buckets; tests/unit/monitoring/test_counting.py compares it with `observe`."""

    def observe_many(self, values: Sequence[float] | NDArray[Any], ids: Sequence[str] = ()) -> None:
        """Add values.

        Args:
            ids: of the request of each value, if any: the newest of a bucket becomes its exemplar. With several workers
                there are no exemplars: prometheus-client's files have no place for them.
        """
        array = np.asarray(values, np.float64)
        edges = self._upper_bounds  # a bucket holds what is at most its edge; the last is infinite
        places = np.searchsorted(edges, array)
        counts = np.bincount(places, minlength=len(edges))
        self._sum.inc(float(array.sum()))
        for i in np.flatnonzero(counts[: len(edges)]).tolist():
            self._buckets[i].inc(int(counts[i]))
        newest = {place: i for i, place in enumerate(places.tolist()) if ids and 0 < len(ids[i]) <= MAX_EXEMPLAR}
        for place, i in newest.items():
            self._buckets[place].set_exemplar(Exemplar({"request_id": ids[i]}, float(array[i]), time.time()))


class RowCounts:
    """Counts scores, missing values and unknown categories of rows.

    Args:
        missing: a counter's `inc` for each feature, in the schema's order.
        unknown: the same for each category, by its name.
    """

    def __init__(self, score: ManyHistogram, missing: Sequence[Inc], unknown: Mapping[str, Inc]) -> None:
        self._score, self._missing = score, missing
        self._names, self._unknown = tuple(unknown), tuple(unknown.values())
        self._known: list[frozenset[str] | None] = [None] * len(unknown)

    def know(self, vocabulary: dict[str, list[str]]) -> None:
        """From now on, a category that is not in its vocabulary is unknown. One without a vocabulary never is."""
        self._known = [frozenset(vocabulary[n]) if n in vocabulary else None for n in self._names]

    def count(self, numeric: Numeric, category: Category, scores: Scores) -> None:
        """Add rows: float32 [n, numbers], str [n, categories], float32 [n]."""
        self._score.observe_many(scores)
        width = numeric.shape[1]
        absent = np.bincount(np.flatnonzero(np.isnan(numeric)) % width, minlength=width)
        for i in np.flatnonzero(absent).tolist():
            self._missing[i](int(absent[i]))
        for i, (column, known) in enumerate(zip(category.T.tolist(), self._known, strict=True)):
            values = set(column)
            if "" in values:
                self._missing[width + i](column.count(""))
            # Most values are known, and need not be counted one by one.
            if known is not None and (strange := values - known - {""}):
                found = Counter(column)
                self._unknown[i](sum(found[value] for value in strange))


@dataclass(frozen=True, slots=True)
class Series:
    """What one protocol's requests are counted in."""

    requests: Inc  # those that were answered
    errors: dict[Code, Callable[[], None]]
    rows: Inc
    batch_rows: ManyHistogram
    seconds: ManyHistogram
    in_flight: Gauge


class ProtocolMetrics:
    """The requests of one protocol: each has a `begin`, then `ok` or one of `errors`, then an `end`. Thread-safe."""

    def __init__(self, series: Series, row_counts: RowCounts) -> None:
        self.errors = series.errors
        self._series = series
        self._row_counts = row_counts
        self._in_flight = 0
        self._lock = threading.Lock()
        self._done: list[tuple[Numeric, Category, Scores, Sequence[int]]] = []
        self._done_rows = 0  # decides when to count, and nothing else
        self._ended: list[tuple[float, str]] = []

    def begin(self, requests: int = 1) -> None:
        with self._lock:
            self._in_flight += requests

    def ok(self, numeric: Numeric, category: Category, scores: Scores, sizes: Sequence[int]) -> None:
        """Requests were answered with these scores. The arrays must not change any more.

        Args:
            sizes: rows of each request, in their order.
        """
        self._done.append((numeric, category, scores, sizes))
        self._done_rows += len(scores)
        if self._done_rows >= COUNTED:
            self.count()

    def end(self, ended: Sequence[tuple[float, str]]) -> None:
        """Requests have ended.

        Args:
            ended: for each, how long it took, in seconds, and its id; "" when it got no answer.
        """
        with self._lock:
            self._in_flight -= len(ended)
        self._ended.extend(ended)
        if len(self._ended) >= COUNTED:  # of refusals, which `ok` does not see
            self.count()

    def count(self) -> None:
        """Bring the metrics up to date."""
        series = self._series
        with self._lock:
            done, ended = _take(self._done), _take(self._ended)
            self._done_rows = 0
        series.in_flight.set(self._in_flight)
        if ended:
            series.seconds.observe_many(*zip(*ended, strict=True))
        if done:
            if len(done) == 1:  # as a large request is: nothing to copy
                numeric, category, scores = done[0][:3]
            else:
                numeric, category, scores = (np.concatenate([one[i] for one in done]) for i in range(3))
            sizes = [size for one in done for size in one[3]]
            series.requests(len(sizes))
            series.rows(len(scores))
            series.batch_rows.observe_many(sizes)
            self._row_counts.count(numeric, category, scores)


def _take(items: list[Any]) -> list[Any]:
    """Empty the list. What another thread appends meanwhile stays in it."""
    taken = items[:]
    del items[: len(taken)]
    return taken
