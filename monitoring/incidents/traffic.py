"""Rows of some hours as they arrived: what a fault changes, and how it finds a feature without knowing the task."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DataError
from contracts.schema import Category, Numeric, Schema, Window

Scorer = Callable[[Numeric, Category], NDArray[np.float32]]
Random = np.random.Generator
T = TypeVar("T")
COMMON: Final = 0.05  # share of rows from which on a name of a category is a frequent one


class NoPlace(DataError):
    """A task has no feature that this fault could hit: not every task tells the minute of the day."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Rows of one model, sorted by arrival. A fault returns a changed copy; `with_` makes it.

    Attributes:
        hour: int64 [n], of arrival, since 1970, UTC.
        row_id: [n] of str.
        numeric: float32 [n, k], NaN is missing; `category` str [n, c], "" is missing.
        label: float64 [n], 0 or 1, NaN: none ever comes.
        late: bool [n], whether the label comes later than the objective allows.
        scorer: the model that answers; it scores the changed rows.
        subjects: features, sources or slices that the fault hit: what a right alert names. None: the whole.
    """

    schema: Schema
    hour: NDArray[np.int64]
    row_id: NDArray[Any]
    numeric: Numeric
    category: Category
    label: NDArray[np.float64]
    late: NDArray[np.bool_]
    scorer: Scorer
    subjects: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.hour)

    def with_(self, **changed: Any) -> Self:
        """A copy with other members."""
        return replace(self, **changed)

    def rows(self, chosen: Any) -> Self:
        """Those of an index, a slice or a mask."""
        names = ("hour", "row_id", "numeric", "category", "label", "late")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def with_numbers(self, columns: tuple[int, ...], change: Callable[[Numeric], Any]) -> Self:
        """Columns [n, len(columns)] of the numbers changed, and named as subjects."""
        numeric = self.numeric.copy()
        numeric[:, list(columns)] = change(numeric[:, list(columns)])
        names = tuple(self.schema.numeric_names[column] for column in columns)
        return replace(self, numeric=numeric, subjects=names)

    def of_unit(self, unit: str) -> tuple[int, ...]:
        """Columns of the numbers in a unit, as the schema writes it.

        Raises:
            NoPlace: there are none.
        """
        return self._some(
            tuple(i for i, one in enumerate(self.schema.numeric) if one.unit == unit), f"number in {unit}"
        )

    def of_streams(self) -> dict[str, tuple[int, ...]]:
        """Stream of events -> the columns made of it."""
        found: dict[str, tuple[int, ...]] = {}
        for column, one in enumerate(self.schema.numeric):
            if isinstance(one.source, Window):
                found[one.source.events] = (*found.get(one.source.events, ()), column)
        return found

    def lively(self) -> tuple[int, ...]:
        """Columns made of a stream whose known values often differ: 20 different ones in these rows, at least."""
        columns = [column for some in self.of_streams().values() for column in some]
        return self._some(
            tuple(column for column in sorted(columns) if len(np.unique(self._known(column))) >= 20), "lively number"
        )

    def frequent(self, categories: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """(category, name) of names that at least 5 % of the rows have, and at most 60 %.

        Raises:
            NoPlace: there are none.
        """
        found: list[tuple[str, str]] = []
        for category in categories:
            names, counts = np.unique(self.category[:, self.place(category)].astype(str), return_counts=True)
            share = counts / max(len(self), 1)
            found += [(category, str(name)) for name in names[(share >= COMMON) & (share <= 0.6) & (names != "")]]
        return self._some(tuple(found), "frequent name of a category")

    def place(self, category: str) -> int:
        """Its column among the categories."""
        return self.schema.category_names.index(category)

    def slice_(self, rng: Random) -> tuple[NDArray[np.bool_], str]:
        """The rows of a random slice of the schema, and its name as watching writes it: "origin=JFK"."""
        category, name = pick(rng, self.frequent(self.schema.sliced_categories))
        return self.category[:, self.place(category)] == name, f"{category}={name}"

    def _known(self, column: int) -> NDArray[np.float32]:
        values = self.numeric[:, column]
        return values[~np.isnan(values)]

    def _some(self, found: tuple[T, ...], what: str) -> tuple[T, ...]:
        if not found:
            raise NoPlace(f"this fault must find a {what} in {self.schema.name}, got none; it cannot happen there")
        return found


def pick(rng: Random, some: tuple[T, ...]) -> T:
    """One of them, each as likely as the others."""
    return some[int(rng.integers(len(some)))]
