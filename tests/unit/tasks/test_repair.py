"""Values outside a table's contract: marked missing or dropped, and every one of them counted."""

import numpy as np
import pandas as pd

from contracts.tables import Column
from tasks.data_repair import drop_rows, mark_missing

COLUMNS = (
    Column("name", "string"),
    Column("wind", "float64", nullable=True, low=0, high=250),
    Column("distance", "float64", low=1),
)


def _frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["a", "b", None, "d", "e"],
            "wind": [0.0, 250.0, 1048.0, -1.0, np.nan],
            "distance": [1.0, 0.0, 5.0, np.nan, np.inf],
        }
    )


def test_mark_missing_touches_only_columns_that_may_be_missing() -> None:
    frame, marked = mark_missing(_frame(), COLUMNS)
    assert marked == {"wind": 2}
    assert frame["wind"].tolist()[:2] == [0.0, 250.0]
    assert frame["wind"].isna().sum() == 3
    assert frame["distance"].tolist()[:3] == [1.0, 0.0, 5.0]


def test_drop_rows_blames_the_first_column() -> None:
    frame, dropped = drop_rows(_frame(), COLUMNS)
    assert dropped == {"name": 1, "wind": 1, "distance": 1}
    assert frame["name"].tolist() == ["a", "e"]


def test_nothing_to_mend_counts_nothing() -> None:
    clean = _frame().iloc[:1]
    assert mark_missing(clean.copy(), COLUMNS)[1] == {}
    kept, dropped = drop_rows(clean, COLUMNS)
    assert dropped == {}
    pd.testing.assert_frame_equal(kept, clean)
