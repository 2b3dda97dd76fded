"""The format: every byte of a frame is guarded, and damage costs no frame but the damaged one."""

import struct
import zlib

import msgspec
import pytest

from contracts.errors import DataError
from monitoring.spool.frames import (
    HEADER,
    LABEL,
    NOTHING,
    PREDICTION,
    Damage,
    Frame,
    Label,
    frame,
    frames,
    label_frame,
    predictions_frame,
    record,
)
from tests.unit.monitoring.spool.conftest import prediction

LABELLED = Label("0a", "mine", 3, True, None, 5_000_000, "ci")


def payloads(buffer: bytes, *, final: bool = True) -> list[bytes]:
    return [one.payload for one in frames(buffer, final=final) if isinstance(one, Frame)]


def damages(buffer: bytes, *, final: bool = True) -> list[tuple[int, int]]:
    return [(one.start, one.end) for one in frames(buffer, final=final) if isinstance(one, Damage)]


def small(name: bytes) -> bytes:
    return frame(PREDICTION, 1, 7, name)


def test_records_come_back_as_they_were() -> None:
    buffer = predictions_frame(prediction("é", rows=3)) + label_frame(LABELLED) + frame(NOTHING, 0, 9, b"")
    first, second, third = frames(buffer)
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert isinstance(third, Frame)
    assert (first.kind, first.rows, first.received_us) == (PREDICTION, 3, 2_000_000)
    assert record(first) == prediction("é", rows=3)
    assert (second.kind, second.rows, second.received_us) == (LABEL, 1, 5_000_000)
    assert record(second) == LABELLED
    assert record(third) is None
    assert third.end == len(buffer)


def test_the_format_is_the_one_that_its_docstring_gives() -> None:
    """Written by hand, so that a reader of another release finds the same."""
    payload = msgspec.msgpack.encode(["0a", "mine", 3, True, None, 5_000_000, "ci"])
    checked = bytes([2, 2, 0, 0]) + (1).to_bytes(4, "little") + struct.pack("<q", 5_000_000) + payload
    by_hand = len(payload).to_bytes(4, "little") + zlib.crc32(checked).to_bytes(4, "little") + checked
    assert label_frame(LABELLED) == by_hand
    assert HEADER.size == 24


@pytest.mark.parametrize("cut", [1, 10, 23, 24, 25, 200])
def test_a_torn_end_is_left_out_and_is_no_damage(cut: int) -> None:
    torn = predictions_frame(prediction("torn"))[:-cut]
    buffer = small(b"a") + torn
    assert payloads(buffer) == payloads(buffer, final=False) == [b"a"]
    assert damages(buffer) == damages(buffer, final=False) == []


def test_a_change_of_any_bit_is_noticed_and_costs_no_other_frame() -> None:
    before, hurt, after = small(b"before"), small(b"hurt"), small(b"after")
    for bit in range(8 * len(hurt)):
        changed = bytearray(hurt)
        changed[bit // 8] ^= 1 << bit % 8
        buffer = before + changed + after
        assert payloads(buffer) == [b"before", b"after"], bit
        assert damages(buffer) == [(len(before), len(before) + len(hurt))], bit


def test_damage_at_the_end_is_told_when_the_segment_ends_there() -> None:
    hurt = small(b"b")[:-1] + b"?"
    assert damages(small(b"a") + hurt) == [(len(hurt), 2 * len(hurt))]
    assert damages(small(b"a") + hurt, final=False) == []
    assert damages(small(b"a") + hurt + small(b"c"), final=False) == [(len(hurt), 2 * len(hurt))]


def test_zeros_that_a_power_loss_leaves_are_one_damage() -> None:
    assert damages(small(b"a") + bytes(4096)) == [(len(small(b"a")), len(small(b"a")) + 4096)]


def test_another_version_is_not_read_as_ours() -> None:
    checked = bytes([3, 1, 0, 0]) + struct.pack("<Iq", 1, 7) + b"new"
    other = struct.pack("<II", 3, zlib.crc32(checked)) + checked
    assert payloads(small(b"a") + other + small(b"b")) == [b"a", b"b"]
    assert damages(small(b"a") + other + small(b"b")) == [(len(small(b"a")), len(small(b"a") + other))]


def test_a_payload_that_is_no_record_is_named() -> None:
    (found,) = frames(small(b"\x93no"))
    assert isinstance(found, Frame)
    with pytest.raises(DataError, match="must be a record of kind 1"):
        record(found)
