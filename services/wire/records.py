"""What the two endpoints with named fields take: `/v1/predict` and `/v1/labels`."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from contracts.errors import InvalidInput
from contracts.schema import CategoricalFeature, Category, Numeric, NumericFeature, Schema
from monitoring.spool.frames import Label as LabelRecord
from services.core.request import Answer, check_id, check_size, new_id, now_us, to_us
from services.wire.members import (
    MANY,
    MAX_ROW,
    NO_NUL,
    DeliveryTime,
    EventTime,
    NewRequestId,
    OutcomeTime,
    RequestId,
    RoutingKey,
    RowIndex,
)

_encode = msgspec.json.Encoder().encode
STEP_ROWS: Final = 256  # of a large request, decoded at once: a millisecond


class PredictAnswer(msgspec.Struct):
    """`probabilities` are of the positive outcome, one a row. `prediction_id` is unique, and the `id` if none came."""

    id: str
    prediction_id: str
    model_version: str
    role: str
    probabilities: list[float]


def encode_answer(answer: Answer) -> bytes:
    """The body of the answer of `/v1/predict`."""
    version, role = answer.model.version, answer.role
    return _encode(PredictAnswer(answer.id, answer.prediction_id, version, role, answer.scores.tolist()))


class Label(msgspec.Struct, forbid_unknown_fields=True):
    """What became of a predicted row: `value` is whether the outcome was the positive one."""

    id: RequestId
    value: bool
    row: RowIndex = 0
    outcome_at: OutcomeTime = None
    delivered_at: DeliveryTime = None


class LabelsBody(msgspec.Struct, forbid_unknown_fields=True):
    """Labels, of any requests."""

    labels: Annotated[list[Label], Meta(extra_json_schema=MANY)]


class LabelsAnswer(msgspec.Struct):
    """How many labels were taken in."""

    accepted: int


class _Parts(msgspec.Struct, forbid_unknown_fields=True):
    """A body whose rows are not decoded yet."""

    rows: list[msgspec.Raw]
    id: str = ""
    event_time: datetime | None = None
    key: str = ""


_decode_parts = msgspec.json.Decoder(_Parts).decode


class Records:
    """The body of `/v1/predict` for one schema: decodes it and makes the model's inputs of it.

    Attributes:
        body: struct with `rows`, `id` and `event_time`.
        decode: bytes -> an instance of `body`.
    """

    def __init__(self, schema: Schema) -> None:
        # Every feature by name, in the schema's order; null is missing, and leaving one out is an error.
        row = msgspec.defstruct(
            "Row", [(f.name, _member(f)) for f in schema.features], forbid_unknown_fields=True, module=__name__
        )
        rows: Any = Annotated[list[row], Meta(extra_json_schema=MANY)]  # type: ignore[valid-type] # made at run time
        self.body: type[Any] = msgspec.defstruct(
            "PredictBody",
            [("rows", rows), ("id", NewRequestId, ""), ("event_time", EventTime, None), ("key", RoutingKey, "")],
            forbid_unknown_fields=True,
            module=__name__,
        )
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(self.body).decode
        self._decode_rows: Callable[[bytes], list[Any]] = msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type] # made at run time
        self._width = len(schema.numeric)

    def decode_large(self, body: bytes) -> Any:
        """What `decode` gives, in many short steps: one for thousands of rows would hold the interpreter, and with it
        every other request, for as long as it takes.

        Raises:
            msgspec.DecodeError, UnicodeDecodeError: as `decode`.
        """
        parts = _decode_parts(body)
        try:
            steps = [parts.rows[i : i + STEP_ROWS] for i in range(0, len(parts.rows), STEP_ROWS)]
            rows = [row for step in steps for row in self._decode_rows(b"[%s]" % b",".join(map(bytes, step)))]
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.decode(body)  # whose message has the row's place in the whole
        return self.body(rows, parts.id, parts.event_time, parts.key)

    def to_arrays(self, rows: Sequence[Any]) -> tuple[Numeric, Category]:
        """The model's inputs.

        Args:
            rows: of a decoded body.

        Returns:
            float32 [n, numbers], NaN is missing; str [n, categories], "" is missing.

        Raises:
            InvalidInput: no row.
            TooLarge: more than a request may have.
        """
        if not rows:
            raise InvalidInput("`rows` must have at least one row, got none; send one or many")
        check_size(len(rows))
        parts = [self._part(rows[i : i + STEP_ROWS]) for i in range(0, len(rows), STEP_ROWS)]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _part(self, rows: Sequence[Any]) -> tuple[Numeric, Category]:
        values = [msgspec.structs.astuple(row) for row in rows]
        width = self._width
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and the schema refuses that by name
            numeric = np.array([row[:width] for row in values], np.float32)
        return numeric, np.array([[value or "" for value in row[width:]] for row in values], object)


def _member(feature: NumericFeature | CategoricalFeature) -> Any:
    """The type of a feature's value; `Schema.check_numeric` and `.check_category` check what it documents."""
    description = f"{feature.description} ({feature.unit})"
    if isinstance(feature, CategoricalFeature):
        limits: dict[str, Any] = {"maxLength": feature.max_length, "pattern": NO_NUL}
        return Annotated[str | None, Meta(description=description, extra_json_schema=limits)]
    limits = {"minimum": feature.low, "maximum": feature.high}
    meta = Meta(description=description, extra_json_schema=limits)
    return Annotated[float | None, meta] if feature.nullable else Annotated[float, meta]


def to_records(labels: Sequence[Label], caller: str) -> list[LabelRecord]:
    """Labels as the log takes them.

    Args:
        caller: name of the token.

    Raises:
        InvalidInput: no label, or one whose `id` or `row` no prediction can have.
        TooLarge: more than a request may have.
    """
    if not labels:
        raise InvalidInput("`labels` must have at least one label, got none; send one or many")
    check_size(len(labels))
    received_us = now_us()
    for label in labels:
        check_id(label.id)
        if not 0 <= label.row <= MAX_ROW or label.row % 1:
            raise InvalidInput(f"`row` must be the row of the request, from 0 on, got {label.row:.15g}; correct it")
    return [
        LabelRecord(new_id(), la.id, int(la.row), la.value, _known_us(la.outcome_at), received_us, caller)
        for la in labels
    ]


def _known_us(instant: datetime | None) -> int | None:
    return None if instant is None else to_us(instant)


def delays(labels: Sequence[Label]) -> NDArray[np.float64]:
    """Seconds from outcome to delivery, of the labels that tell their outcome's time; one in the future counts as 0."""
    clock = now_us()
    found = [
        (clock if la.delivered_at is None else to_us(la.delivered_at)) - to_us(la.outcome_at)
        for la in labels
        if la.outcome_at is not None
    ]
    return np.maximum(np.array(found, np.float64) / 1e6, 0)
