"""What the two endpoints with named fields take: `/v1/predict` and `/v1/labels`. The fields come from the contract."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.errors import InvalidInput
from contracts.features import CATEGORY, NUMERIC, Category, Numeric
from monitoring.log.spool import LabelRecord
from services.core.predictor import as_utc, check_id, check_size, now

# One flight: every field of the contract by name, in contract order. None is missing; leaving a field out is an error.
Flight: type[Any] = msgspec.defstruct(
    "Flight",
    [(f.name, float | None if f.nullable else float) for f in NUMERIC] + [(f.name, str | None) for f in CATEGORY],
    forbid_unknown_fields=True,
)


class PredictBody(msgspec.Struct, forbid_unknown_fields=True):
    flights: list[Flight]  # type: ignore[valid-type] # a class made from the contract at run time
    id: str = ""
    event_time: datetime | None = None


class PredictAnswer(msgspec.Struct):
    id: str
    model_version: str
    probabilities: list[float]


class Label(msgspec.Struct, forbid_unknown_fields=True):
    """`delivered_at`: the caller's clock at delivery, for those who play the past; None is now."""

    id: str
    late: bool
    row: int = 0
    landed_at: datetime | None = None
    delivered_at: datetime | None = None


class LabelsBody(msgspec.Struct, forbid_unknown_fields=True):
    labels: list[Label]


class LabelsAnswer(msgspec.Struct):
    accepted: int


def to_arrays(flights: Sequence[Any]) -> tuple[Numeric, Category]:
    """The model's inputs from named records.

    Args:
        flights: instances of `Flight`.
    """
    if not flights:
        raise InvalidInput("`flights` must have at least one flight, got none; send one or many")
    check_size(len(flights))
    rows = [msgspec.structs.astuple(flight) for flight in flights]
    width = len(NUMERIC)
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and the contract refuses that by name
        numeric = np.array([row[:width] for row in rows], np.float32)
    category = np.array([[value or "" for value in row[width:]] for row in rows], object)
    return numeric, category


def to_records(labels: Sequence[Label]) -> list[LabelRecord]:
    if not labels:
        raise InvalidInput("`labels` must have at least one label, got none; send one or many")
    check_size(len(labels))
    received_at = now()
    for label in labels:
        check_id(label.id)
        if not 0 <= label.row < 2**31:
            raise InvalidInput(f"`row` must be the row of the request, from 0 on, got {label.row}; correct it")
    return [LabelRecord(la.id, la.row, la.late, as_utc(la.landed_at), received_at) for la in labels]


def delays(labels: Sequence[Label]) -> NDArray[np.float64]:
    """Seconds from landing to delivery, of the labels that tell their landing. A landing in the future counts as 0."""
    clock = now()
    pairs = [(as_utc(la.landed_at), as_utc(la.delivered_at) or clock) for la in labels]
    found = [(delivered - landed).total_seconds() for landed, delivered in pairs if landed is not None]
    return np.maximum(np.array(found, np.float64), 0)
