"""The reading end: damage, leftovers, what waits."""

import errno
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from monitoring.spool import backlog, spool
from monitoring.spool.backlog import Backlog, Waiting
from monitoring.spool.frames import LABEL, NOTHING, PREDICTION, frame, predictions_frame
from monitoring.spool.segments import count_bad, delete, list_segments, quarantine, read, used_bytes
from monitoring.spool.spool import Spool
from tests.unit.monitoring.spool.conftest import MountTmpfs, prediction, stored

LIMIT = 2**30


def segment_of(folder: Path, content: bytes, name: str = "1-1-0.spool") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def hurt(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("place", [0, 2, 3, 4, 8, 9, 12, 30, -1], ids=lambda place: f"byte {place}")
def test_a_damaged_frame_is_kept_counted_and_skipped(
    tmp_path: Path, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A byte of the length, too: what follows is found all the same, and a length past the end hides nothing."""
    one = predictions_frame(prediction("a"))
    damaged = hurt(one, place % len(one))
    segment_of(tmp_path, one + damaged + predictions_frame(prediction("b")))
    (segment,) = list_segments(tmp_path)
    offset, ids = 0, []
    while (chunk := read(segment, offset, limit=300)).end > offset:
        ids += [found.payload for found in chunk.frames]
        for damage in chunk.damaged:
            quarantine(segment, damage)
            quarantine(segment, damage)
        offset = chunk.end
    assert offset == segment.size
    assert stored(tmp_path) == ["a", "b"]
    assert len(ids) == 2
    assert count_bad(tmp_path) == 1
    (kept,) = (tmp_path / "bad").iterdir()
    assert kept.name == f"1-1-0-{len(one)}.frame"
    assert kept.read_bytes() == damaged
    assert f"{len(one)} bytes of 1-1-0.spool at {len(one)} are damaged" in caplog.text


def test_damage_in_a_segment_that_is_held_is_told_once_a_frame_follows(tmp_path: Path) -> None:
    appending = Spool(tmp_path, LIMIT)
    one = predictions_frame(prediction("a"))
    appending.append(one + hurt(one, 40), 2)
    (segment,) = list_segments(tmp_path)
    assert read(segment, 0).end == len(one)
    assert read(segment, len(one)).damaged == []
    appending.append(one, 1)
    (segment,) = list_segments(tmp_path)
    assert len(read(segment, len(one)).damaged) == 1
    appending.close()


def test_what_is_cut_off_while_it_is_read_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that failed is taken back under the reader's eyes: it may see zeros."""
    appending = Spool(tmp_path, LIMIT)
    one = predictions_frame(prediction("a"))
    appending.append(one, 1)
    (segment,) = list_segments(tmp_path)
    with segment.path.open("ab") as file:
        file.write(one[:-100])
    (segment,) = list_segments(tmp_path)
    real = os.pread

    def late(descriptor: int, count: int, offset: int) -> bytes:
        os.truncate(segment.path, len(one))
        return real(descriptor, count, offset).ljust(count, b"\0")

    monkeypatch.setattr(os, "pread", late)
    chunk = read(replace(segment, held=False), 0)
    assert (len(chunk.frames), chunk.damaged, chunk.end) == (1, [], len(one))
    appending.close()


def test_a_full_volume_holds_up_no_frame_behind_a_damaged_one(
    mount: MountTmpfs, caplog: pytest.LogCaptureFixture
) -> None:
    folder = mount("size=64k")
    one = predictions_frame(prediction("a"))
    segment_of(folder, hurt(one, 40) + one)
    (folder / "filler").write_bytes(bytes(60 * 2**10))
    (segment,) = list_segments(folder)
    quarantine(segment, read(segment, 0).damaged[0])
    assert f"{len(one)} bytes that cannot be moved are lost" in caplog.text
    assert stored(folder) == ["a"]


def test_bytes_that_cannot_be_moved_are_not_counted_as_segments(tmp_path: Path) -> None:
    one = predictions_frame(prediction("a"))
    segment_of(tmp_path, hurt(one, 40) + one)
    (segment,) = list_segments(tmp_path)
    quarantine(segment, read(segment, 0).damaged[0])
    assert used_bytes(tmp_path) == segment.size
    assert len(list_segments(tmp_path)) == 1


def test_an_empty_or_torn_segment_has_nothing_and_is_read_to_its_end(tmp_path: Path) -> None:
    segment_of(tmp_path, b"")
    segment_of(tmp_path, predictions_frame(prediction("torn"))[:-1], "2-1-0.spool")
    for segment in list_segments(tmp_path):
        assert read(segment, 0).end == 0
        assert read(segment, 10**6).frames == [], "an offset behind the end, as after a cut"
        delete(segment)
        delete(segment)
    assert list_segments(tmp_path) == []


def test_segments_come_in_the_order_in_which_they_were_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 1)
    appending = Spool(tmp_path, LIMIT)
    for number in range(12):
        appending.append(predictions_frame(prediction(f"{number}")), 1)
    assert stored(tmp_path) == [f"{number}" for number in range(12)]
    appending.close()


def test_a_folder_that_is_not_there_has_no_segments(tmp_path: Path) -> None:
    assert list_segments(tmp_path / "none") == []


def test_a_segment_that_must_not_be_opened_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = segment_of(tmp_path, b"x")
    segment_of(tmp_path, predictions_frame(prediction("a")), "2-1-0.spool")
    real = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if path == closed:
            raise OSError(errno.EACCES, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    first, second = list_segments(tmp_path)
    assert first.held, "so nobody deletes it"
    assert read(second, 0).rows == 1
    with pytest.raises(OSError, match="Permission denied"):
        read(first, 0)


def test_hidden_files_of_a_killed_process_are_removed_and_young_or_held_ones_stay(tmp_path: Path) -> None:
    living = Spool(tmp_path, LIMIT)
    held = tmp_path / ".held"
    (segment,) = list_segments(tmp_path)
    held.hardlink_to(segment.path)  # as between its lock and its name
    (tmp_path / "bad").mkdir()
    old = [tmp_path / ".17-4-0", tmp_path / "bad" / ".1-1-0-0.frame.x7"]
    young = tmp_path / ".18-4-0"
    for path in [*old, young]:
        path.touch()
    for path in [*old, held]:
        os.utime(path, times=(time.time() - 3_600,) * 2)
    Spool(tmp_path, LIMIT).close()
    assert not any(path.exists() for path in old)
    assert young.exists()
    assert held.exists()
    living.close()


def test_what_waits_is_counted_by_headers_alone(tmp_path: Path) -> None:
    """The payloads are no records: nothing decodes them."""
    first = frame(PREDICTION, 3, 50, b"?") + frame(NOTHING, 0, 1, b"") + frame(LABEL, 1, 40, b"?" * 10)
    second = frame(PREDICTION, 1_024, 60, b"?" * 100_000)
    torn = frame(PREDICTION, 7, 10, b"?" * 9)[:-1]
    segment_of(tmp_path, first)
    segment_of(tmp_path, second + torn, "2-1-0.spool")
    counting = Backlog()
    listed = list_segments(tmp_path)
    size = len(first + second + torn)
    assert counting.look(listed, {}) == Waiting(3 + 1 + 1_024, 40, size)
    assert counting.look(listed, {"1-1-0.spool": 25 + 24}) == Waiting(1 + 1_024, 40, size - 49)
    assert counting.look(listed, {"1-1-0.spool": len(first)}) == Waiting(1_024, 60, size - len(first))
    assert counting.look(listed[1:], {"2-1-0.spool": len(second)}) == Waiting(0, None, len(torn))
    assert counting.look([], {}) == Waiting(0, None, 0)


def test_while_nothing_is_moved_each_header_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away for hours: what waits is counted twice a second."""
    read_from: list[int] = []
    real = backlog._count

    def noted(path: Path, counted: backlog._Counted, size: int) -> None:
        read_from.append(counted.end)
        real(path, counted, size)

    monkeypatch.setattr(backlog, "_count", noted)
    one = frame(PREDICTION, 2, 5, b"x" * 76)
    path = segment_of(tmp_path, one * 10)
    counting = Backlog()
    for rows in (20, 20, 30, 30):
        path.write_bytes(one * (rows // 2))
        assert counting.look(list_segments(tmp_path), {}).rows == rows
    assert read_from == [0, 1_000]


def test_a_damaged_length_ends_the_counting_and_not_the_process(tmp_path: Path) -> None:
    one = frame(PREDICTION, 2, 5, b"x")
    segment_of(tmp_path, one + b"\xff" * 4 + one[4:] + one)
    assert Backlog().look(list_segments(tmp_path), {}).rows == 2
