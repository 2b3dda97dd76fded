"""The flights that are replayed, out of the table of features."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DataError
from contracts.features import CATEGORY_NAMES, NUMERIC_NAMES, Category, Numeric

ORDER: Final = ("predicted_at", "flight_id")


@dataclass(frozen=True, slots=True)
class Flights:
    """Flights in order of `predicted_at`; instants are UTC. `late` is -1 for flights that never get a label."""

    ids: NDArray[np.str_]
    months: NDArray[np.str_]
    predicted_at: NDArray[np.datetime64]
    landed: NDArray[np.datetime64]
    late: NDArray[np.int8]
    numeric: Numeric
    category: Category

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, chosen: slice | NDArray[np.intp]) -> "Flights":
        return Flights(*(getattr(self, name)[chosen] for name in self.__slots__))


def read_flights(features: Path, first: str, last: str) -> Flights:
    """All flights of these months of New York, cancelled and diverted ones too.

    Raises:
        DataError: no such table, or no flight in these months.
    """
    import pyarrow.parquet as pq

    wanted = [("local_month", ">=", first), ("local_month", "<=", last)]
    try:
        table = pq.read_table(features, filters=wanted).sort_by([(key, "ascending") for key in ORDER])
    except (OSError, ValueError) as error:
        raise DataError(f"`{features}` must be the table of features, got: {error}; run `dvc repro`") from error
    if table.num_rows == 0:
        raise DataError(f"`{features}` must hold flights of {first} to {last}, got none; see --from and --to")
    column: Callable[[str], NDArray[Any]] = lambda name: table[name].to_numpy()  # noqa: E731 - shorter than a nested def
    return Flights(
        ids=column("flight_id").astype(str),
        months=column("local_month").astype(str),
        predicted_at=column("predicted_at").astype("datetime64[us]"),
        landed=column("landed").astype("datetime64[us]"),
        late=table["late"].cast("int8").fill_null(-1).to_numpy(),
        numeric=np.column_stack([column(name).astype(np.float32) for name in NUMERIC_NAMES]),
        category=np.column_stack([column(name).astype(object) for name in CATEGORY_NAMES]),
    )
