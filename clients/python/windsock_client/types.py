"""What goes into a call and what comes out of it."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

# Every field of the model's schema by its name; None, or NaN for a number, is missing.
Row = Mapping[str, float | str | None]


class Prediction(msgspec.Struct, frozen=True):
    """The answer to one request.

    Attributes:
        id: of the request; labels name it.
        prediction_id: the service's own, unique.
        model_version: of the model that answered: the beginning of its digest.
        role: of that model, "champion" or "challenger".
        probabilities: of the positive outcome, one a row, in the order of the rows.
    """

    id: str
    prediction_id: str
    model_version: str
    role: str
    probabilities: tuple[float, ...]


class Label(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a row.

    Attributes:
        id: of the request.
        value: whether the outcome was the positive one.
        row: of the request's rows, from 0 on.
        outcome_at: when the outcome was known; None: not told. Without a zone it is UTC.
        delivered_at: the caller's clock; None: the service's, at arrival.
    """

    id: str
    value: bool
    row: int = 0
    outcome_at: datetime | None = None
    delivered_at: datetime | None = None


class Accepted(msgspec.Struct, frozen=True):
    """The answer to labels."""

    accepted: int


class PredictBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of `/v1/predict`."""

    rows: list[Row]
    id: str
    event_time: datetime | None = None
    key: str = ""


class LabelsBody(msgspec.Struct, frozen=True):
    """The body of `/v1/labels`."""

    labels: list[Label]
