"""What happens to values of the source that break a table's contract: marked missing or dropped, and counted."""

from collections.abc import Sequence

import pandas as pd

from contracts.tables import Column


def mark_missing(frame: pd.DataFrame, columns: Sequence[Column]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Replace values outside their bounds by missing, in columns that may be missing.

    Returns:
        The table, and how many by column; columns without any are left out.
    """
    marked = {}
    for column in columns:
        outside = _outside(frame, column)
        if column.nullable and outside.any():
            frame[column.name] = frame[column.name].mask(outside)
            marked[column.name] = int(outside.sum())
    return frame, marked


def drop_rows(frame: pd.DataFrame, columns: Sequence[Column]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Drop rows with a value outside its bounds, or without one that is required.

    Returns:
        The table, and how many by the first column that is to blame; columns without any are left out.
    """
    dropped = {}
    for column in columns:
        wrong = _outside(frame, column)
        if not column.nullable:
            wrong |= frame[column.name].isna()
        if wrong.any():
            frame = frame[~wrong]
            dropped[column.name] = int(wrong.sum())
    return frame, dropped


def _outside(frame: pd.DataFrame, column: Column) -> "pd.Series[bool]":
    values = frame[column.name]
    outside = pd.Series(False, index=frame.index)
    if column.low is not None:
        outside |= values < column.low
    if column.high is not None:
        outside |= values > column.high
    return outside
