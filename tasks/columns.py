"""What a CSV of predictions says about itself: kinds, bounds and examples of its columns, for a new task's schema."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import pandas as pd

from contracts.errors import ParameterError
from contracts.schema import KEY_COLUMNS

TEXTS: Final = 1_000  # a column of text with more different ones is no category
_TRUE: Final = ("1", "1.0", "true", "yes", "y", "t")
_RESERVED: Final = frozenset(KEY_COLUMNS)


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """`low` and `high` are the CSV's own, widened by a half of their span; `example` is the median."""

    column: str
    name: str
    low: float
    high: float
    example: float


@dataclass(frozen=True, slots=True)
class TextColumn:
    """`example` is the most frequent text."""

    column: str
    name: str
    example: str
    max_length: int


@dataclass(frozen=True, slots=True)
class Label:
    """Texts of the two values as the CSV has them."""

    name: str
    positive: str
    negative: str


def label(texts: "pd.Series[str]", positive: str | None) -> Label:
    """
    Args:
        positive: the text that means true; None finds it when it is one of 1, true, yes.

    Raises:
        ParameterError: other than two values, or none of them is known to mean true.
    """
    values = sorted(str(value) for value in texts.dropna().unique())
    if len(values) != 2:
        shown = ", ".join(repr(value) for value in values[:5]) or "nothing"
        raise ParameterError(
            f"`{texts.name}` must have two values to be a label, got {len(values)}: {shown}; name a column that has "
            "two, and leave it empty where the outcome is not known"
        )
    meant = [value for value in values if value == positive or (positive is None and value.lower() in _TRUE)]
    if len(meant) != 1:
        raise ParameterError(
            f"`--positive` must be the value of `{texts.name}` that means true, one of {values[0]!r} and "
            f"{values[1]!r}, got {positive!r}; add it"
        )
    (true,) = meant
    return Label(feature_name(str(texts.name)), true, next(value for value in values if value != true))


def features(
    frame: pd.DataFrame, used: Mapping[str, str], categories: tuple[str, ...]
) -> tuple[list[NumericColumn], list[TextColumn], dict[str, str]]:
    """Columns that can be features.

    Args:
        frame: texts.
        used: columns of another use -> what they are.
        categories: columns that are categories whatever they look like.

    Returns:
        Numbers, categories, and the columns that are left out, with why.
    """
    numbers, texts, left_out = [], [], {}
    for column in map(str, frame.columns):
        values = frame[column].dropna()
        if column in used:
            continue
        if values.empty:
            left_out[column] = "empty"
        elif column not in categories and (number := pd.to_numeric(values, errors="coerce")).notna().all():
            numbers.append(_number(column, number.astype("float64")))
        elif column not in categories and values.nunique() > min(TEXTS, len(values) / 2):
            left_out[column] = f"{values.nunique():,} different texts"
        else:
            longest = int(values.str.len().max())
            texts.append(TextColumn(column, feature_name(column), str(values.mode().iloc[0]), max(16, 2 * longest)))
    _check_names([*numbers, *texts])
    return numbers, texts, left_out


def feature_name(column: str) -> str:
    """The column's name as schemas, JSON and metrics take it.

    >>> feature_name("Amount (EUR)"), feature_name("7d"), feature_name("month")
    ('amount_eur', 'column_7d', 'column_month')
    """
    name = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")[:48]
    return name if re.match(r"[a-z]", name) and name not in _RESERVED else f"column_{name}"


def _number(column: str, values: "pd.Series[float]") -> NumericColumn:
    low, high = float(values.min()), float(values.max())
    room = (high - low) / 2 or abs(low) / 2 or 1.0
    # What was never negative stays so.
    lowest = 0.0 if low >= 0 > low - room else _rounded(low - room, math.floor)
    highest = 0.0 if high <= 0 < high + room else _rounded(high + room, math.ceil)
    return NumericColumn(column, feature_name(column), lowest, highest, float(values.median()))


def _rounded(value: float, turn: Callable[[float], int]) -> float:
    """To two digits; `turn` is floor or ceil."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{turn(value / unit) * unit:.12g}")


def _check_names(columns: list[NumericColumn | TextColumn]) -> None:
    ordered = sorted(columns, key=lambda one: one.name)
    for first, second in pairwise(ordered):
        if first.name == second.name:
            raise ParameterError(
                f"the columns of the CSV must have names that differ in letters and digits, got {first.column!r} and "
                f"{second.column!r}, both `{first.name}`; rename one"
            )
