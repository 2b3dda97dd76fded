"""The appending end with a volume that works, and the reading end beside it."""

import os
import threading
import time
from pathlib import Path

import pytest

from monitoring.spool import segments, spool
from monitoring.spool.frames import HEADER, NOTHING, Label, frame, label_frame, predictions_frame
from monitoring.spool.segments import list_segments, read
from monitoring.spool.spool import Fsync, Spool, SpoolFull
from tests.unit.monitoring.spool.conftest import prediction, stored, whole

LIMIT = 2**30
LABELLED = label_frame(Label("label", "a", 2, True, None, 1, ""))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool"


@pytest.mark.parametrize("fsync", ["off", "interval", "each"])
def test_what_was_appended_is_read_while_it_is_held_and_after(folder: Path, fsync: Fsync) -> None:
    appending = Spool(folder, LIMIT, fsync)
    appending.append(predictions_frame(prediction("a", 3)), 3)
    appending.check()
    appending.append(predictions_frame(prediction("b")) + LABELLED, 2)
    (held,) = list_segments(folder)
    assert held.held
    assert stored(folder) == ["a", "b", "label"]
    appending.close()
    (free,) = list_segments(folder)
    assert not free.held
    assert whole(free)[0] == prediction("a", 3)
    assert stored(folder) == ["a", "b", "label"]
    assert appending.appended_rows == 5
    assert appending.failing is None
    segments.delete(free)
    assert list(folder.iterdir()) == []


def test_threads_append_whole_frames(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gRPC pool, an event loop and a shadow's thread append to one spool."""
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 100_000)
    appending = Spool(folder, LIMIT)

    def append(thread: int) -> None:
        for number in range(500):
            appending.append(predictions_frame(prediction(f"{thread} {number}", 1 + number % 3)), 1 + number % 3)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        appending.check()
    found = stored(folder)
    assert sorted(found) == sorted(f"{thread} {number}" for thread in range(8) for number in range(500))
    for thread_number in range(8):
        mine = [name for name in found if name.startswith(f"{thread_number} ")]
        assert mine == [f"{thread_number} {number}" for number in range(500)]
    assert appending.appended_rows == 8 * sum(1 + number % 3 for number in range(500))
    appending.close()


def test_long_segments_are_let_go_of_and_the_reader_deletes_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 2_000)
    appending = Spool(folder, LIMIT)
    for number in range(40):
        appending.append(predictions_frame(prediction(f"{number:02}")), 1)
    listed = list_segments(folder)
    assert [segment.held for segment in listed] == [False] * (len(listed) - 1) + [True]
    assert len(listed) > 5
    assert appending.size() == sum(segment.size for segment in listed)
    assert stored(folder) == [f"{number:02}" for number in range(40)]
    for segment in listed[:-1]:
        segments.delete(segment)
    appending.append(predictions_frame(prediction("last")), 1)
    assert stored(folder)[-1] == "last"
    appending.close()


def test_what_comes_later_is_read_on_from_an_offset(folder: Path) -> None:
    appending = Spool(folder, LIMIT)
    appending.append(predictions_frame(prediction("a")), 1)
    (segment,) = list_segments(folder)
    first = read(segment, 0)
    assert (len(first.frames), first.rows, first.end) == (1, 1, segment.size)
    appending.append(predictions_frame(prediction("b", 5)), 5)
    assert read(segment, first.end).frames == [], "no more than the segment had when it was listed"
    (segment,) = list_segments(folder)
    second = read(segment, first.end)
    assert (second.rows, second.end) == (5, segment.size)
    appending.close()


def test_a_frame_that_is_longer_than_a_chunk_is_read_whole(folder: Path) -> None:
    appending = Spool(folder, LIMIT)
    for name in ("a", "b"):
        appending.append(predictions_frame(prediction(name, 20_000)), 20_000)
    (segment,) = list_segments(folder)
    assert segment.size > 2 * 2**20
    assert read(segment, 0, limit=2**20).rows == 20_000
    assert [value.id for value in whole(segment)] == ["a", "b"]
    appending.close()


def test_past_its_limit_the_spool_refuses_until_the_reader_made_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 2_000)
    data = predictions_frame(prediction("a"))
    appending = Spool(folder, 10 * len(data))
    appending.check_room()
    for _ in range(10):
        appending.append(data, 1)
    with pytest.raises(SpoolFull, match="must stay under"):
        appending.check_room()  # without an append, which callers that were told so do not try
    with pytest.raises(SpoolFull, match=f"^spool must stay under {10 * len(data)} bytes, has {10 * len(data)}"):
        appending.append(data, 1)
    appending.check()
    assert appending.failing is None, "the volume works; it is the reader who is late"
    assert stored(folder) == ["a"] * 10
    segments.delete(list_segments(folder)[0])
    time.sleep(spool.SCAN_SECONDS + 0.05)
    appending.check_room()
    appending.append(data, 1)
    appending.close()


def test_one_frame_alone_may_not_exceed_the_limit(folder: Path) -> None:
    appending = Spool(folder, 1_000)
    with pytest.raises(SpoolFull):
        appending.append(predictions_frame(prediction("a", 100)), 100)
    appending.append(frame(NOTHING, 0, 1, b""), 0)
    assert appending.size() == HEADER.size
    appending.close()


def test_closing_leaves_no_empty_file_and_ends_appending(folder: Path) -> None:
    appending = Spool(folder, LIMIT)
    appending.close()
    appending.check()
    assert list(folder.iterdir()) == []
    with pytest.raises(OSError, match="must be open to append"):
        appending.append(predictions_frame(prediction("a")), 1)


def test_an_append_is_one_write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All frames of a turn of the loop by one call of the kernel, and none else."""
    appending = Spool(folder, LIMIT)
    calls: list[int] = []
    real = os.write

    def counted(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    data = predictions_frame(prediction("a")) * 16
    appending.append(data, 16)
    assert calls == [len(data)]
    appending.close()
