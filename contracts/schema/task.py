"""The whole of a task, and the rows that fit it."""

import hashlib
from functools import cached_property
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.errors import ContractViolation, SchemaInvalid
from contracts.schema.features import CategoricalFeature, NumericFeature, QueryColumn, Ranges
from contracts.schema.value import Name, Text, Value
from contracts.schema.words import Calendar, Subject, Target

Numeric = NDArray[np.float32]  # [n, len(schema.numeric)], NaN is missing
Category = NDArray[np.object_]  # [n, len(schema.category)] of str, "" is missing
# Of the table that `featurize` writes: no feature may be called like one of its other columns.
KEY_COLUMNS: Final = ("row_id", "month", "predicted_at", "outcome_at", "label")


class Schema(Value, frozen=True, dict=True):
    """A task.

    Attributes:
        name: of the model, over the Open Inference Protocol and in MLflow's registry ("flight-delay").
        title: headline of its pages.
        slices: categories, and numbers in ranges, by which quality is also looked at.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    title: Text
    subject: Subject
    target: Target
    calendar: Calendar
    numeric: tuple[NumericFeature, ...]
    category: tuple[CategoricalFeature, ...]
    slices: tuple[Name | Ranges, ...] = ()

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
        sources = [one.source.name for one in self.features if isinstance(one.source, QueryColumn)]
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
        self._check_slices()

    def _check_slices(self) -> None:
        for name in self.sliced_categories:
            if name not in self.category_names:
                raise SchemaInvalid(
                    f"a slice must be one of the categories {', '.join(self.category_names)}, got `{name}`; correct "
                    "it, or say a number's `Ranges`"
                )
        for ranges in self.sliced_numbers:
            if ranges.feature not in self.numeric_names:
                raise SchemaInvalid(f"ranges must be of one of the numbers, got `{ranges.feature}`; correct the name")
        if len(set(sliced := [*self.sliced_categories, *(one.feature for one in self.sliced_numbers)])) < len(sliced):
            raise SchemaInvalid(f"each slice must be named once, got {', '.join(sliced)}; take one out")

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
    def sliced_categories(self) -> tuple[str, ...]:
        return tuple(one for one in self.slices if isinstance(one, str))

    @cached_property
    def sliced_numbers(self) -> tuple[Ranges, ...]:
        return tuple(one for one in self.slices if isinstance(one, Ranges))

    def slice_masks(self, numeric: Numeric, category: Category) -> dict[str, NDArray[np.bool_]]:
        """By "origin=JFK" and "distance=500..1000": which of the rows [n] are of it; what no row has is left out."""
        columns = {name: category[:, self.category_names.index(name)] for name in self.sliced_categories}
        found = {f"{name}={value}": column == value for name, column in columns.items() for value in np.unique(column)}
        for ranges in self.sliced_numbers:
            code = ranges.code(numeric[:, self.numeric_names.index(ranges.feature)])
            found |= {f"{ranges.feature}={ranges.names[i]}": code == i for i in np.unique(code)}
        return found

    @cached_property
    def hash(self) -> str:
        """sha256 of the schema as canonical JSON."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    @cached_property
    def _bounds(self) -> tuple[Numeric, Numeric, NDArray[np.bool_]]:
        low = np.array([feature.low for feature in self.numeric], np.float32)
        high = np.array([feature.high for feature in self.numeric], np.float32)
        return low, high, np.array([not feature.nullable for feature in self.numeric])

    def check_numeric(self, numeric: Numeric, first_row: int = 0) -> None:
        """Refuse numbers outside the schema.

        Args:
            numeric: float32 [n, len(self.numeric)]; NaN is missing.
            first_row: number of the first of these rows, for the message.

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
            raise ContractViolation(_describe(self.numeric[column], float(numeric[row, column]), first_row + row))

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
        raise SchemaInvalid(f"the schema must be what contracts/schema/ says, got: {error}; correct it") from error


def _describe(feature: NumericFeature, value: float, row: int) -> str:
    rule = f"between {feature.low:g} and {feature.high:g} ({feature.unit})"
    got = "nothing (missing)" if np.isnan(value) else f"{value:g}"
    hint = "send null (JSON) or NaN (binary) when it is not known" if feature.nullable else "it is required"
    return f"`{feature.name}` must be {rule}, got {got} in row {row}; {hint}"
