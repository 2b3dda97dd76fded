"""What a model may see: numbers and categories, and where each comes from."""

import math
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contracts.errors import SchemaInvalid
from contracts.schema.value import Name, Text, Value

Statistic = Literal["mean", "sum", "last"]


class QueryColumn(Value, frozen=True, tag="column"):
    """A value of the task's own table of predictions (`queries` in `tasks/<name>/windows.py`)."""

    name: Name


class Window(Value, frozen=True, tag="window"):
    """A statistic of the events with the same keys in a span that ends at or before the prediction.

    An event at minute t counts when `cutoff - lag - minutes < t <= cutoff - lag`.

    Attributes:
        events: name of a stream of events (`events` in `tasks/<name>/windows.py`).
        value: column of the events; integers, so that sums are exact ("last" takes any number).
        statistic: "last" is the value of the latest event.
        minutes: length of the span.
        by: keys that event and prediction share; none is all events. A missing key gives a missing value.
        lag: minutes between the end of the span and the prediction.
        divisor: of the statistic, where events count in a smaller unit than the feature.
        empty: value when no event is in the span; None is missing.
    """

    events: Name
    value: Name
    statistic: Statistic
    minutes: int
    by: tuple[Name, ...] = ()
    lag: int = 0
    divisor: int = 1
    empty: float | None = None

    def check(self) -> None:
        if self.lag < 0:
            raise SchemaInvalid(
                f"`lag` of a window over `{self.events}.{self.value}` must be 0 or more minutes, got {self.lag}: it "
                "would look past the moment of the prediction; end the window there or earlier"
            )
        if self.minutes < 1:
            raise SchemaInvalid(
                f"`minutes` of a window over `{self.events}.{self.value}` must be at least 1, got {self.minutes}; "
                "correct its length"
            )
        if self.divisor < 1:
            raise SchemaInvalid(f"`divisor` of a window must be at least 1, got {self.divisor}; correct it")


Source = QueryColumn | Window


class NumericFeature(Value, frozen=True):
    """A number that the model sees. `low` and `high` are inclusive; `example` None leaves it missing in examples."""

    name: Name
    unit: Text
    description: Text
    low: float
    high: float
    source: Source
    nullable: bool = True
    example: float | None = None

    def check(self) -> None:
        if not self.low < self.high:
            raise SchemaInvalid(
                f"the bounds of `{self.name}` must be low < high, got {self.low:g} and {self.high:g}; "
                "swap or widen them"
            )
        if not self.nullable and self.example is None:
            raise SchemaInvalid(f"`{self.name}` must have an example, as it may not be missing, got none; add one")
        if self.example is not None and not self.low <= self.example <= self.high:
            raise SchemaInvalid(
                f"the example of `{self.name}` must be between {self.low:g} and {self.high:g}, got {self.example:g}; "
                "correct it"
            )


class CategoricalFeature(Value, frozen=True):
    """A string that the model sees; one that it never saw in training is answered as unknown."""

    name: Name
    unit: Text
    description: Text
    source: QueryColumn
    example: str
    max_length: int = 16  # characters; longer strings are refused


class Ranges(Value, frozen=True):
    """Ranges of a number, by which quality is also looked at: a range begins with its lower edge.

    Attributes:
        feature: name of a number.
        edges: ascending, in its unit.
    """

    feature: Name
    edges: tuple[float, ...]

    def check(self) -> None:
        finite = self.edges and all(math.isfinite(edge) for edge in self.edges)
        if not finite or any(low >= high for low, high in pairwise(self.edges)):
            raise SchemaInvalid(
                f"the edges of the ranges of `{self.feature}` must be one number or more, ascending, got "
                f"{', '.join(f'{edge:g}' for edge in self.edges) or 'none'}; correct them"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """ "" is missing; then "..500", "500..1200", "1200.."."""
        edges = ["", *(f"{edge:g}" for edge in self.edges), ""]
        return ("", *(f"{low}..{high}" for low, high in pairwise(edges)))

    def code(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """[n] place in `names` of each value [n]; NaN is missing."""
        place = np.searchsorted(self.edges, values, side="right") + 1
        return np.where(np.isnan(values), 0, place)
