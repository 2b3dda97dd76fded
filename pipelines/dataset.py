"""The feature table as arrays, and who may learn from which row.

A row may train a model of some day only when that day knew its label: the flight was scheduled before it, and had
landed before it, midnight New York time. Choices are made on the last month before `as_of` (DESIGN decision 1c).
"""

from calendar import monthrange
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import ParameterError
from contracts.features import CATEGORY_NAMES, NUMERIC_NAMES, Category, Numeric
from models.preprocess import Codes, Vocabulary, encode
from models.train import Rows
from pipelines import parquet
from tasks.flights.clock import NEW_YORK, local

Mask = NDArray[np.bool_]
Instants = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Flights:
    """Rows of the feature table; instants are UTC. `landed` is NaT and `late` NaN for a flight without a label."""

    month: NDArray[np.str_]  # [n] of the scheduled departure in New York, "2013-07"
    day: NDArray[np.datetime64]  # [n] the same as a date
    scheduled: Instants  # [n]
    landed: Instants  # [n]
    late: NDArray[np.float32]  # [n] 0, 1 or NaN
    numeric: Numeric
    category: Category

    def __len__(self) -> int:
        return len(self.late)

    @property
    def labelled(self) -> Mask:
        return ~np.isnan(self.late)

    def where(self, mask: Mask) -> "Flights":
        return Flights(*(getattr(self, field.name)[mask] for field in fields(self)))

    def rows(self, vocabulary: Vocabulary) -> Rows:
        """For training, with labels as targets."""
        return Rows(self.numeric, self.codes(vocabulary), self.late)

    def codes(self, vocabulary: Vocabulary) -> Codes:
        return encode(self.category, vocabulary)


@dataclass(frozen=True, slots=True)
class Split:
    """`fit` and `validation` choose, `refit` is the final training set; all three hold labelled rows only.

    `later` is what the model will meet after `as_of`, labelled or not.
    """

    fit: Flights
    validation: Flights
    refit: Flights
    later: Flights


def read_flights(root: Path) -> Flights:
    """
    Raises:
        DataError: data/features.parquet is missing or damaged.
    """
    frame = parquet.read(root / "data/features.parquet").to_pandas()
    clock = local(frame["scheduled_departure"], NEW_YORK)
    late = frame["late"].astype("boolean").astype("Float32").to_numpy(np.float32, na_value=np.nan)
    return Flights(
        month=frame["local_month"].to_numpy(str),
        day=clock.to_numpy("datetime64[D]"),
        scheduled=frame["scheduled_departure"].to_numpy("datetime64[us]"),
        landed=frame["landed"].to_numpy("datetime64[us]"),
        late=late,
        numeric=frame[list(NUMERIC_NAMES)].to_numpy(np.float32),
        category=frame[list(CATEGORY_NAMES)].to_numpy(object),
    )


def split(flights: Flights, as_of: date) -> Split:
    """
    Raises:
        ParameterError: `as_of` leaves a training part without both classes.
    """
    start, end = _midnight(_month_before(as_of)), _midnight(as_of)
    known_before_start = flights.labelled & (flights.scheduled < start) & (flights.landed < start)
    known_before_end = flights.labelled & (flights.scheduled < end) & (flights.landed < end)
    parts = Split(
        fit=flights.where(known_before_start),
        validation=flights.where(known_before_end & (flights.scheduled >= start)),
        refit=flights.where(known_before_end),
        later=flights.where(flights.scheduled >= end),
    )
    for name in ("fit", "validation"):
        late: Any = getattr(parts, name).late
        if len(np.unique(late)) < 2:
            which = "in the month before it" if name == "validation" else "earlier than the month before it"
            raise ParameterError(
                f"`as_of` must leave late and punctual flights {which}, got {as_of} and {len(late)} flights; "
                "choose another date in params.yaml"
            )
    return parts


def _midnight(day: date) -> np.datetime64:
    """The UTC instant at which this day begins in New York."""
    return pd.Timestamp(day).tz_localize(NEW_YORK).tz_convert("UTC").tz_localize(None).to_datetime64()


def _month_before(day: date) -> date:
    year, month = (day.year, day.month - 1) if day.month > 1 else (day.year - 1, 12)
    return date(year, month, min(day.day, monthrange(year, month)[1]))
