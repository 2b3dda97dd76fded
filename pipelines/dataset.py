"""The table of features as arrays, and who may learn from which row.

A row may train a model of some day only when that day knew its label: what it is about happened before that day, and
so did its outcome, by midnight of the calendar's zone. Choices are made on the last month before `as_of` (DESIGN
decision 1c).
"""

from calendar import monthrange
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import ParameterError
from contracts.schema import Category, Numeric, Schema
from contracts.workspace import Workspace
from models.preprocess import Codes, Vocabulary, encode
from models.train import TrainingRows
from pipelines import parquet
from tasks.zones import local, midnight

Mask = NDArray[np.bool_]
Instants = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows of the table of features; instants are UTC. `outcome_at` is NaT and `label` NaN where there is no label."""

    month: NDArray[np.str_]  # [n] of `about`, in the calendar's zone: "2013-07"
    day: NDArray[np.datetime64]  # [n] the same as a date
    about: Instants  # [n] the moment predicted about
    outcome_at: Instants  # [n] when the label was known
    label: NDArray[np.float32]  # [n] 0, 1 or NaN
    numeric: Numeric
    category: Category

    def __len__(self) -> int:
        return len(self.label)

    @property
    def labelled(self) -> Mask:
        """[n] of bool."""
        return ~np.isnan(self.label)

    def where(self, mask: Mask) -> "Dataset":
        """The rows of the mask."""
        return Dataset(*(getattr(self, field.name)[mask] for field in fields(self)))

    def training_rows(self, vocabulary: Vocabulary) -> TrainingRows:
        """With labels as targets."""
        return TrainingRows(self.numeric, self.codes(vocabulary), self.label)

    def codes(self, vocabulary: Vocabulary) -> Codes:
        """Codes of the categories."""
        return encode(self.category, vocabulary)


@dataclass(frozen=True, slots=True)
class Split:
    """`fit` and `validation` choose, `refit` is the final training set; all three hold labelled rows only.

    `later` is what the model will meet after `as_of`, labelled or not.
    """

    fit: Dataset
    validation: Dataset
    refit: Dataset
    later: Dataset


def read_dataset(workspace: Workspace, schema: Schema) -> Dataset:
    """All rows of the table of features, in its order.

    Raises:
        DataError: data/features.parquet is missing or damaged.
    """
    frame = parquet.read(workspace.features).to_pandas()
    about = frame["predicted_at"] + pd.Timedelta(minutes=schema.calendar.horizon_minutes)
    return Dataset(
        month=frame["month"].to_numpy(str),
        day=local(about, schema.calendar.time_zone).to_numpy("datetime64[D]"),
        about=about.to_numpy("datetime64[us]"),
        outcome_at=frame["outcome_at"].to_numpy("datetime64[us]"),
        label=frame["label"].astype("boolean").astype("Float32").to_numpy(np.float32, na_value=np.nan),
        numeric=frame[list(schema.numeric_names)].to_numpy(np.float32),
        category=frame[list(schema.category_names)].to_numpy(object),
    )


def split(dataset: Dataset, as_of: date, schema: Schema) -> Split:
    """Parts by what was known on `as_of`, and a month before it.

    Raises:
        ParameterError: `as_of` leaves a training part without both classes.
    """
    zone = schema.calendar.time_zone
    start, end = midnight(_month_before(as_of), zone), midnight(as_of, zone)
    known_before_start = dataset.labelled & (dataset.about < start) & (dataset.outcome_at < start)
    known_before_end = dataset.labelled & (dataset.about < end) & (dataset.outcome_at < end)
    parts = Split(
        fit=dataset.where(known_before_start),
        validation=dataset.where(known_before_end & (dataset.about >= start)),
        refit=dataset.where(known_before_end),
        later=dataset.where(dataset.about >= end),
    )
    for name in ("fit", "validation"):
        label: Any = getattr(parts, name).label
        if len(np.unique(label)) < 2:
            which = "in the month before it" if name == "validation" else "earlier than the month before it"
            words, rows = schema.target, schema.subject.plural
            raise ParameterError(
                f"`as_of` must leave {words.positive} and {words.negative} {rows} {which}, got {as_of} and "
                f"{len(label)} {rows}; choose another date in params.yaml"
            )
    return parts


def _month_before(day: date) -> date:
    year, month = (day.year, day.month - 1) if day.month > 1 else (day.year - 1, 12)
    return date(year, month, min(day.day, monthrange(year, month)[1]))
