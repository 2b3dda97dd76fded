"""Rows of the table of features, of whatever task, as they are replayed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DataError
from contracts.schema import KEY_COLUMNS, Category, Numeric, Schema

ID, MONTH, PREDICTED_AT, OUTCOME_AT, LABEL = KEY_COLUMNS
ORDER: Final = (PREDICTED_AT, ID)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in order of `predicted_at`; instants are UTC, in microseconds.

    Attributes:
        ids: str [n].
        months: str [n], "2013-07" in the time zone of the schema's calendar.
        outcome_at: datetime64 [n]; NaT: never labelled.
        label: int8 [n], 1 is the target's positive outcome; -1: never labelled.
        numeric: float32 [n, len(schema.numeric)], NaN is missing.
        category: str [n, len(schema.category)], "" is missing.
    """

    ids: NDArray[np.str_]
    months: NDArray[np.str_]
    predicted_at: NDArray[np.datetime64]
    outcome_at: NDArray[np.datetime64]
    label: NDArray[np.int8]
    numeric: Numeric
    category: Category

    def __len__(self) -> int:
        return len(self.ids)

    def head(self, count: int) -> "Rows":
        """The first `count` rows, or all when there are fewer."""
        return Rows(*(getattr(self, name)[:count] for name in self.__slots__))

    def labels(self, chosen: NDArray[np.intp], delivered_at: str) -> list[dict[str, Any]]:
        """Labels of these rows, as `POST /v1/labels` takes them."""
        values, outcomes = self.label[chosen].tolist(), iso(self.outcome_at[chosen])
        return [
            {"id": id_, "value": bool(value), "outcome_at": at, "delivered_at": delivered_at}
            for id_, value, at in zip(self.ids[chosen].tolist(), values, outcomes, strict=True)
        ]


def iso(instants: NDArray[np.datetime64]) -> list[str]:
    """[n] of "2013-07-01T07:15:00Z"."""
    return [f"{instant}Z" for instant in np.datetime_as_string(instants, unit="s").tolist()]


def read_rows(features: Path, schema: Schema, first: str, last: str) -> Rows:
    """All rows of some months, also those that never get a label.

    Args:
        features: data/features.parquet.
        first: month, "2013-07", inclusive.
        last: inclusive.

    Raises:
        DataError: no such table, one of another schema, or no row in these months.
    """
    wanted = [(MONTH, ">=", first), (MONTH, "<=", last)]
    columns = [ID, MONTH, PREDICTED_AT, OUTCOME_AT, LABEL, *schema.names]
    table = _read(features, columns, wanted).sort_by([(key, "ascending") for key in ORDER])
    if table.num_rows == 0:
        raise DataError(
            f"`{features}` must hold {schema.subject.plural} of {first} to {last}, got none; see --from and --to"
        )
    column: Callable[[str], NDArray[Any]] = lambda name: table[name].to_numpy()  # noqa: E731 - shorter than a nested def
    return Rows(
        ids=column(ID).astype(str),
        months=column(MONTH).astype(str),
        predicted_at=column(PREDICTED_AT).astype("datetime64[us]"),
        outcome_at=column(OUTCOME_AT).astype("datetime64[us]"),
        label=table[LABEL].cast("int8").fill_null(-1).to_numpy(),
        numeric=np.column_stack([column(name).astype(np.float32) for name in schema.numeric_names]),
        category=np.column_stack([column(name).astype(object) for name in schema.category_names]),
    )


def later_months(features: Path, as_of: str) -> tuple[str, str]:
    """First and last month of the table that begins at `as_of` or after: they are new to a model of that date.

    Args:
        as_of: ISO date.

    Raises:
        DataError: no such table, or no such month in it.
    """
    later = months_after(features, as_of)
    if not later:
        raise DataError(
            f"`{features}` must hold a month that begins at {as_of} or after, got none; set `as_of` earlier, or say "
            "--from and --to"
        )
    return later[0], later[-1]


def months_after(features: Path, as_of: str) -> list[str]:
    """All months of the table that begin at `as_of` (ISO date) or after, in order.

    Raises:
        DataError: no such table.
    """
    found = {str(month) for month in _read(features, [MONTH])[MONTH].unique().to_pylist()}
    return sorted(month for month in found if f"{month}-01" >= as_of)


def _read(features: Path, columns: list[str], filters: list[Any] | None = None) -> Any:
    import pyarrow.parquet as pq

    try:
        return pq.read_table(features, columns=columns, filters=filters).select(columns)
    except (OSError, ValueError, KeyError) as error:  # KeyError: a column that is not there
        raise DataError(f"`{features}` must be the table of features, got: {error}; run `dvc repro`") from error
