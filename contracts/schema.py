"""What a task is, as one frozen value: what is asked, what a model may see, in which units and bounds, in which words.

A schema is written in `tasks/<name>/schema.py`. From there it goes into the manifest of every model that is trained on
it, and services, monitor and dashboards take it from the manifest: they import no task.

    Schema
    ├── numeric      NumericFeature     unit, bounds, whether it may be missing, where it comes from
    ├── category     CategoricalFeature
    ├── target       Target             the question, the two outcomes and their words
    └── calendar     Calendar           time zone, from prediction to the moment predicted about, delay of labels

Every value checks itself when it is made or decoded, so a wrong schema is refused before any data is read.
"""

import hashlib
from functools import cached_property
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.errors import ContractViolation, SchemaInvalid

Numeric = NDArray[np.float32]  # [n, len(schema.numeric)], NaN is missing
Category = NDArray[np.object_]  # [n, len(schema.category)] of str, "" is missing
Statistic = Literal["mean", "sum", "last"]
# Names become columns, JSON members and labels of metrics: what all of them take.
_NAME: Final = r"^[a-z][a-z0-9_]{0,62}$"
Name = Annotated[str, msgspec.Meta(pattern=_NAME)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
# Of the table that `featurize` writes: no feature may be called like one of its other columns.
KEY_COLUMNS: Final = ("row_id", "month", "predicted_at", "outcome_at", "label")


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all parts. What the constructor got is held against the same rules as what was decoded."""

    def __post_init__(self) -> None:
        try:
            for field in msgspec.structs.fields(self):
                # An integer bound becomes the float that a decoder makes of it, so equal schemas have equal hashes.
                value = msgspec.convert(getattr(self, field.name), field.type)
                msgspec.structs.force_setattr(self, field.name, value)
        except msgspec.ValidationError as error:
            raise SchemaInvalid(
                f"`{type(self).__name__}.{field.name}` must be what contracts/schema.py says, got: {error}; correct it"
            ) from error
        self.check()

    def check(self) -> None:
        """Rules between the fields."""


class Column(Value, frozen=True, tag="column"):
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


Source = Column | Window


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
    source: Column
    example: str
    max_length: int = 16  # characters; longer strings are refused


class Target(Value, frozen=True):
    """What is predicted, in words that pages, documents and dashboards use.

    Attributes:
        name: short name of the label.
        question: for a person, with its question mark.
        event: completes "the probability that a <subject> ...".
        positive: adjective of a subject whose label is true ("late").
        negative: of one whose label is false ("punctual").
        outcome: completes "the label comes when ..." ("the aircraft has landed").
    """

    name: Name
    question: Text
    event: Text
    positive: Text
    negative: Text
    outcome: Text


class Subject(Value, frozen=True):
    """What a row is about: "flight", "flights"."""

    singular: Text
    plural: Text


class Calendar(Value, frozen=True):
    """When things happen.

    Attributes:
        time_zone: IANA name; months and days are its.
        horizon_minutes: from the prediction to the moment that it is about. A row belongs to the month of that moment.
        label_delay_minutes: from that moment to the label, as a rule.
    """

    time_zone: str
    horizon_minutes: int
    label_delay_minutes: int

    def check(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SchemaInvalid(
                f"`time_zone` must be a name of the IANA database, got {self.time_zone!r}; like America/New_York"
            ) from error
        for name in ("horizon_minutes", "label_delay_minutes"):
            if getattr(self, name) < 0:
                raise SchemaInvalid(f"`{name}` must be 0 or more, got {getattr(self, name)}; correct it")


class Schema(Value, frozen=True, dict=True):
    """A task.

    Attributes:
        name: of the model, over the Open Inference Protocol and in MLflow's registry ("flight-delay").
        title: headline of its pages.
        slices: categories by which quality is also looked at.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    title: Text
    subject: Subject
    target: Target
    calendar: Calendar
    numeric: tuple[NumericFeature, ...]
    category: tuple[CategoricalFeature, ...]
    slices: tuple[Name, ...] = ()

    def check(self) -> None:
        names = self.names
        for name in names:
            if names.count(name) > 1:
                raise SchemaInvalid(f"the name of a feature must be its own, got `{name}` twice; rename one")
            if name in KEY_COLUMNS:
                raise SchemaInvalid(
                    f"`{name}` must not be the name of a feature, got one: the table of features has such a column of "
                    "its own; rename it"
                )
        sources = [one.source.name for one in self.features if isinstance(one.source, Column)]
        if self.target.name in names or "label" in sources or "outcome_at" in sources:
            raise SchemaInvalid(
                f"the target `{self.target.name}` must not be a feature, got it among them: it is what is asked; "
                "take it out"
            )
        if not self.numeric or not self.category:
            raise SchemaInvalid(
                f"a schema must have a number and a category at least, got {len(self.numeric)} and "
                f"{len(self.category)}; add one"
            )
        for name in self.slices:
            if name not in self.category_names:
                raise SchemaInvalid(
                    f"a slice must be one of the categories {', '.join(self.category_names)}, got `{name}`; correct it"
                )

    @property
    def features(self) -> tuple[NumericFeature | CategoricalFeature, ...]:
        """Numbers first: the order of every list by feature."""
        return (*self.numeric, *self.category)

    @cached_property
    def numeric_names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.numeric)

    @cached_property
    def category_names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.category)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all features, in their order."""
        return (*self.numeric_names, *self.category_names)

    @cached_property
    def hash(self) -> str:
        """sha256 of the schema as canonical JSON."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    @cached_property
    def _bounds(self) -> tuple[Numeric, Numeric, NDArray[np.bool_]]:
        low = np.array([feature.low for feature in self.numeric], np.float32)
        high = np.array([feature.high for feature in self.numeric], np.float32)
        return low, high, np.array([not feature.nullable for feature in self.numeric])

    def check_numeric(self, numeric: Numeric) -> None:
        """Refuse numbers outside the schema.

        Args:
            numeric: float32 [n, len(self.numeric)]; NaN is missing.

        Raises:
            ContractViolation: wrong width, a value out of bounds or infinite, a required value missing.
        """
        low, high, required = self._bounds
        if numeric.ndim != 2 or numeric.shape[1] != len(low):
            raise ContractViolation(f"`numeric` must have shape [n, {len(low)}], got {list(numeric.shape)}")
        # NaN compares false, so a missing value passes here and is looked at below.
        bad = (numeric < low) | (numeric > high) | (np.isnan(numeric) & required)
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise ContractViolation(_describe(self.numeric[column], float(numeric[row, column]), row))

    def check_category(self, category: Category) -> None:
        """Refuse strings that no vocabulary could hold; an unknown category is not an error.

        Args:
            category: str [n, len(self.category)]; "" is missing.

        Raises:
            ContractViolation: wrong width, or a string longer than its feature's `max_length`.
        """
        if category.ndim != 2 or category.shape[1] != len(self.category):
            raise ContractViolation(f"`category` must have shape [n, {len(self.category)}], got {list(category.shape)}")
        for row, values in enumerate(category.tolist()):
            for feature, value in zip(self.category, values, strict=True):
                if len(value) > feature.max_length:
                    raise ContractViolation(
                        f"`{feature.name}` must have at most {feature.max_length} characters, "
                        f"got {len(value)} in row {row}; send a value like {feature.example!r} ({feature.unit})"
                    )

    def example(self) -> dict[str, float | str | None]:
        """A row by name, as the record endpoint takes it."""
        return {feature.name: feature.example for feature in self.features}


def decode_schema(value: Any) -> Schema:
    """A schema out of plain JSON data.

    Raises:
        SchemaInvalid: names the field and the rule.
    """
    try:
        return msgspec.convert(value, Schema)
    except msgspec.ValidationError as error:
        raise SchemaInvalid(f"the schema must be what contracts/schema.py says, got: {error}; correct it") from error


def _describe(feature: NumericFeature, value: float, row: int) -> str:
    rule = f"between {feature.low:g} and {feature.high:g} ({feature.unit})"
    got = "nothing (missing)" if np.isnan(value) else f"{value:g}"
    hint = "send null (JSON) or NaN (binary) when it is not known" if feature.nullable else "it is required"
    return f"`{feature.name}` must be {rule}, got {got} in row {row}; {hint}"
