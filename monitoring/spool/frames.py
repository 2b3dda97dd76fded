"""The spool's format: frames of a header and a payload, one after the other.

    offset  0  u32  length of the payload
            4  u32  CRC-32 of all that follows in the frame
            8  u8   version of the format, 2
            9  u8   kind: 0 nothing, 1 prediction, 2 label
           10  u16  flags, 0
           12  u32  rows
           16  i64  received, microseconds since 1970 UTC
           24       payload: MessagePack of an array, the fields of `Prediction` or `Label` in their order

All integers are little endian. A service appends one frame for one request and model, by one write for all requests
that it answers together; no value of a row becomes a Python object on the way. The header says what one counts by, so
that counting decodes no payload.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from contracts.errors import DataError

VERSION: Final = 2
NOTHING: Final = 0  # says that the spool takes writes; to be skipped
PREDICTION: Final = 1
LABEL: Final = 2

HEADER: Final = struct.Struct("<IIBBHIq")
_REST: Final = struct.Struct("<BBHIq")  # what the checksum guards beside the payload
_VERSION_KIND_FLAGS: Final = re.compile(rb"\x02[\x00-\x02]\x00\x00")  # what every header has at the same place
_PLACE: Final = 8  # of version, kind and flags in a header


class Prediction(msgspec.Struct, array_like=True):
    """One request as one model answered it, with all its rows. Instants are microseconds since 1970 UTC.

    Args:
        id: ours, unique; the answer carries it.
        request_id: what the caller called the request, or `id` when it named none. Labels name this.
        digest: of the model.
        role: the model's, "champion", "challenger" or "shadow".
        protocol: "rest" or "grpc".
        caller: name of the token; "" without authentication.
        event_us: the caller's clock, or the time of arrival.
        numeric: float32 little endian, rows x numbers of the schema, row-major; NaN is missing.
        category: UTF-8 of rows x categories of the schema, row-major, joined by NUL; "" is missing.
        score: float32 little endian, one a row.
    """

    id: str
    request_id: str
    digest: str
    role: str
    schema_hash: str
    protocol: str
    caller: str
    event_us: int
    received_us: int
    duration_us: int
    rows: int
    numeric: bytes
    category: bytes
    score: bytes


class Label(msgspec.Struct, array_like=True):
    """What became of one predicted row.

    Args:
        id: ours, unique.
        row: its place in the request, from 0.
        value: whether it was the positive outcome.
        outcome_us: when it was known, microseconds since 1970 UTC; None: not told.
        received_us: microseconds since 1970 UTC.
        caller: name of the token; "" without authentication.
    """

    id: str
    request_id: str
    row: int
    value: bool
    outcome_us: int | None
    received_us: int
    caller: str


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A frame whose checksum holds. `end`: offset behind it in the buffer that it was found in."""

    kind: int
    rows: int
    received_us: int
    payload: bytes
    end: int


class Damage(msgspec.Struct, frozen=True, gc=False):
    """Bytes of a buffer, `start` to `end`, that are no frame and have one behind them or reach to its end."""

    start: int
    end: int


_encode = msgspec.msgpack.Encoder().encode
_decode_prediction = msgspec.msgpack.Decoder(Prediction).decode
_decode_label = msgspec.msgpack.Decoder(Label).decode


def frame(kind: int, rows: int, received_us: int, payload: bytes) -> bytes:
    """Header and payload. `rows`: how many it counts for, under 2**32."""
    checksum = zlib.crc32(payload, zlib.crc32(_REST.pack(VERSION, kind, 0, rows, received_us)))
    return HEADER.pack(len(payload), checksum, VERSION, kind, 0, rows, received_us) + payload  # one copy of it


def predictions_frame(prediction: Prediction) -> bytes:
    return frame(PREDICTION, prediction.rows, prediction.received_us, _encode(prediction))


def label_frame(label: Label) -> bytes:
    return frame(LABEL, 1, label.received_us, _encode(label))


def record(found: Frame) -> Prediction | Label | None:
    """What a frame holds. None: nothing, a frame that only says that the spool takes writes.

    Raises:
        DataError: the payload is not what the header says.
    """
    try:
        if found.kind == PREDICTION:
            return _decode_prediction(found.payload)
        return _decode_label(found.payload) if found.kind == LABEL else None
    except msgspec.MsgspecError as error:
        raise DataError(f"payload of a frame must be a record of kind {found.kind}, got: {error}") from error


def frames(buffer: bytes, offset: int = 0, *, final: bool = True) -> Iterator[Frame | Damage]:
    """Frames of a buffer from `offset` on, and what lies damaged between them.

    A frame that is there in part at the end of the buffer is left out: it was torn by a kill and never acknowledged,
    or has yet to be written or read to its end. A damaged frame is skipped by its length if a frame follows there,
    otherwise to the next place where one is.

    Args:
        final: whether nothing will follow the buffer. If something may, damage is told only once a frame follows it.
    """
    while offset < len(buffer):
        end = _end(buffer, offset)
        if (found := _frame(buffer, offset, end)) is not None:
            yield found
            offset = end
            continue
        if not final and end > len(buffer):
            return
        following = _following(buffer, offset, end)
        if following is None:
            if final and end <= len(buffer):
                yield Damage(offset, len(buffer))
            return
        yield Damage(offset, following)
        offset = following


def _end(buffer: bytes, start: int) -> int:
    """Where a frame ends that starts here; behind the buffer if its header is not whole."""
    if start + HEADER.size > len(buffer):
        return len(buffer) + 1
    length: int = HEADER.unpack_from(buffer, start)[0]
    return start + HEADER.size + length


def _frame(buffer: bytes, start: int, end: int) -> Frame | None:
    """The frame that starts and ends there. None: it is not whole, damaged or of another version."""
    if end > len(buffer):
        return None
    _, checksum, version, kind, flags, rows, received_us = HEADER.unpack_from(buffer, start)
    if version != VERSION or kind > LABEL or flags or zlib.crc32(memoryview(buffer)[start + _PLACE : end]) != checksum:
        return None
    return Frame(kind, rows, received_us, buffer[start + HEADER.size : end], end)


def _following(buffer: bytes, start: int, end: int) -> int | None:
    """Start of the first whole frame behind a damaged one that seems to end at `end`."""
    if end < len(buffer) and _frame(buffer, end, _end(buffer, end)) is not None:
        return end
    for place in _VERSION_KIND_FLAGS.finditer(buffer, start + 1 + _PLACE):
        candidate = place.start() - _PLACE
        if _frame(buffer, candidate, _end(buffer, candidate)) is not None:
            return candidate
    return None
