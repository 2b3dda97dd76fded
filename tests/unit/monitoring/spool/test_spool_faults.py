"""Volumes that fail: full, without room for a new segment, deleted, stalled. Nothing acknowledged is lost."""

import contextlib
import errno
import os
import resource
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitoring.spool import active, spool
from monitoring.spool.frames import predictions_frame
from monitoring.spool.segments import list_segments, read
from monitoring.spool.spool import Spool
from tests.support.serving import wait_until
from tests.unit.monitoring.spool.conftest import MountTmpfs, prediction, stored

LIMIT = 2**30
PAGE = 4096


@contextmanager
def limited(what: int, soft: int) -> Iterator[None]:
    """This process with less of a resource. Its files must not be opened inside: only the spool's are."""
    before = resource.getrlimit(what)
    resource.setrlimit(what, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


@contextmanager
def checked(appending: Spool, every: float = 0.5) -> Iterator[None]:
    """Calls `check` as a worker does."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every):
            appending.check()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def fill(folder: Path) -> Path:
    """Take all that a volume has left."""
    filler = folder / "filler"
    filler.touch()
    descriptor = os.open(filler, os.O_WRONLY)
    os.posix_fallocate(descriptor, 0, os.statvfs(folder).f_bavail * PAGE)
    os.close(descriptor)
    return filler


def failing(appending: Spool) -> str | None:
    return appending.failing


def append(appending: Spool, name: str, rows: int = 1) -> str:
    appending.append(predictions_frame(prediction(name, rows)), rows)
    return name


def test_without_descriptors_the_long_segment_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a rotation the new segment cannot be opened: EMFILE, a real one."""
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 2_000)
    monkeypatch.setattr(spool, "RETRY_SECONDS", 0.0)
    appending = Spool(tmp_path, LIMIT)
    acknowledged = []
    with limited(resource.RLIMIT_NOFILE, 0):
        acknowledged += [append(appending, f"during {number}") for number in range(20)]
    assert len(list_segments(tmp_path)) == 1
    assert failing(appending) is None, "requests were answered"
    acknowledged += [append(appending, f"after {number}") for number in range(20)]
    assert stored(tmp_path) == acknowledged
    assert [segment.held for segment in list_segments(tmp_path)][:2] == [False, False]
    appending.close()


def test_without_room_for_a_new_file_the_long_segment_goes_on(
    mount: MountTmpfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, by a volume that has no inode left."""
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 2_000)
    monkeypatch.setattr(spool, "RETRY_SECONDS", 0.0)
    folder = mount("size=4m,nr_inodes=4")
    appending = Spool(folder, LIMIT)
    for number in range(2):
        (folder / f"other {number}").touch()
    acknowledged = [append(appending, f"before {number}") for number in range(20)]
    assert len(list_segments(folder)) == 1
    (folder / "other 0").unlink()
    acknowledged += [append(appending, f"after {number}") for number in range(20)]
    assert len(list_segments(folder)) == 2
    assert stored(folder) == acknowledged
    assert [path.name for path in folder.glob(".*")] == []
    appending.close()


def test_after_a_failed_rotation_no_other_file_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A descriptor that is closed twice is another file's by then."""
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 1)
    monkeypatch.setattr(spool, "RETRY_SECONDS", 0.0)
    appending = Spool(tmp_path / "spool", LIMIT)
    with limited(resource.RLIMIT_NOFILE, 0):
        append(appending, "a")
        append(appending, "b")
    append(appending, "c")
    others = [os.open(tmp_path, os.O_RDONLY) for _ in range(4)]
    append(appending, "d")
    appending.close()
    for other in others:
        os.fstat(other)
        os.close(other)


@pytest.mark.parametrize("fsync", ["off", "interval", "each"])
def test_of_a_write_that_is_cut_short_nothing_stays(tmp_path: Path, fsync: spool.Fsync) -> None:
    """By the limit of a file's size: the kernel writes a part, and says so."""
    appending = Spool(tmp_path, LIMIT, fsync)
    append(appending, "before")
    (before,) = list_segments(tmp_path)
    with (
        limited(resource.RLIMIT_FSIZE, before.size + 100),
        pytest.raises(OSError, match=r"took 100 of \d+ bytes") as caught,
    ):
        append(appending, "lost")
    assert caught.value.errno == errno.ENOSPC
    assert failing(appending) is not None
    assert stored(tmp_path) == ["before"]
    assert list_segments(tmp_path)[0].size == before.size
    time.sleep(spool.RETRY_SECONDS)
    appending.check()
    assert failing(appending) is None
    append(appending, "after")
    assert stored(tmp_path) == ["before", "after"]
    appending.close()


def test_a_reader_that_saw_the_part_of_a_cut_write_misses_nothing_that_follows(tmp_path: Path) -> None:
    """It may have read a whole frame of a write of several; what is appended later must not stand before its offset."""
    appending = Spool(tmp_path, LIMIT)
    append(appending, "before")
    one = predictions_frame(prediction("part"))
    (seen,) = list_segments(tmp_path)
    with limited(resource.RLIMIT_FSIZE, seen.size + len(one) + 10), pytest.raises(OSError, match="took"):
        appending.append(one + predictions_frame(prediction("rest")), 2)
    offset = seen.size + len(one)
    time.sleep(spool.RETRY_SECONDS)
    append(appending, "after")
    first, second = list_segments(tmp_path)
    assert (first.size, first.held) == (seen.size, False)
    assert read(first, offset).frames == []
    assert read(second, 0).rows == 1
    assert stored(tmp_path) == ["before", "after"]
    appending.close()


def test_a_torn_end_that_cannot_be_cut_off_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    appending = Spool(tmp_path, LIMIT)
    append(appending, "before")

    def refuse(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", refuse)
    size = list_segments(tmp_path)[0].size
    with limited(resource.RLIMIT_FSIZE, size + 100), pytest.raises(OSError, match="took"):
        append(appending, "lost")
    time.sleep(spool.RETRY_SECONDS)
    append(appending, "after")
    torn, _ = list_segments(tmp_path)
    assert (torn.size, torn.held) == (size + 100, False)
    assert stored(tmp_path) == ["before", "after"]
    assert read(torn, size).damaged == []
    assert "keeps a torn end" in caplog.text
    appending.close()


def test_a_full_volume_is_noticed_without_a_request_and_heals_by_itself(mount: MountTmpfs) -> None:
    folder = mount("size=1m")
    appending = Spool(folder / "spool", LIMIT)
    acknowledged = [append(appending, f"before {number}") for number in range(100)]
    with checked(appending):
        time.sleep(0.6)
        assert failing(appending) is None
        filler = fill(folder)
        wait_until(lambda: failing(appending) is not None, "failing", 1.0)
        assert failing(appending) == "its volume must have 65536 bytes free, has 0"
        refused: list[int | None] = []
        for number in range(100):  # what still fits into the last page is acknowledged, and kept
            try:
                acknowledged.append(append(appending, f"during {number}"))
            except OSError as error:
                refused.append(error.errno)
        assert refused == [errno.ENOSPC] * len(refused)
        assert len(refused) > 80
        time.sleep(0.6)
        assert failing(appending) is not None
        filler.unlink()
        wait_until(lambda: failing(appending) is None, "healing", 1.0)
    acknowledged += [append(appending, f"after {number}") for number in range(100)]
    assert stored(folder / "spool") == acknowledged
    appending.close()


def test_a_full_volume_does_not_fill_with_segments(mount: MountTmpfs) -> None:
    """Each large write finds some pages, is cut short and ends a segment; small ones between them fit."""
    folder = mount("size=1m")
    appending = Spool(folder, LIMIT)
    acknowledged, large = [], predictions_frame(prediction("large", 20_000))
    start = time.monotonic()
    for number in range(200):
        with contextlib.suppress(OSError):
            acknowledged.append(append(appending, f"{number}"))
        with pytest.raises(OSError, match=r"took|bytes free"):
            appending.append(large, 20_000)
    assert len(list_segments(folder)) <= 2 + (time.monotonic() - start) / spool.RETRY_SECONDS
    assert stored(folder) == acknowledged
    appending.close()


def test_it_works_again_only_once_there_is_room_for_what_was_refused(mount: MountTmpfs) -> None:
    folder = mount("size=2m")
    appending = Spool(folder, LIMIT)
    large = predictions_frame(prediction("large", 8_000))
    (folder / "other").write_bytes(bytes(3 * 2**19))
    with pytest.raises(OSError, match="took"):
        appending.append(large, 8_000)
    for _ in range(3):
        time.sleep(spool.RETRY_SECONDS)
        appending.check()
        assert failing(appending) is not None
        append(appending, "small")
    (folder / "other").unlink()
    appending.check()
    assert failing(appending) is None
    appending.append(large, 8_000)
    assert stored(folder) == ["small"] * 3 + ["large"]
    appending.close()


def test_it_starts_on_a_full_volume_and_waits_for_room(mount: MountTmpfs) -> None:
    folder = mount("size=1m,nr_inodes=3")
    for name in ("a", "b"):
        (folder / name).touch()
    appending = Spool(folder, LIMIT)
    assert failing(appending) == "No space left on device"
    with pytest.raises(OSError, match="No space left"):
        append(appending, "a")
    (folder / "a").unlink()
    time.sleep(spool.RETRY_SECONDS)
    appending.check()
    assert failing(appending) is None
    append(appending, "b")
    assert stored(folder) == ["b"]
    appending.close()


def test_a_folder_that_cannot_be_made_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        Spool(tmp_path / "file" / "spool", LIMIT)


def test_a_read_only_volume_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ext4 turns after an error of its disk; a mount with an open file cannot be turned so by hand."""
    appending = Spool(tmp_path, LIMIT)
    real = os.statvfs(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: os.statvfs_result([*real[:8], real.f_flag | os.ST_RDONLY, 255]))
        appending.check()
        assert failing(appending) == "its volume is read-only"
    appending.check()
    assert failing(appending) is None
    appending.close()


def test_a_spool_that_was_deleted_is_made_again_and_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "state" / "spool"
    appending = Spool(folder, LIMIT)
    append(appending, "gone")
    shutil.rmtree(tmp_path / "state")
    appending.check()
    assert "somebody deleted" in caplog.text
    append(appending, "kept")
    assert stored(folder) == ["kept"]
    assert failing(appending) is None
    appending.close()


def test_a_write_that_does_not_come_back_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appending = Spool(tmp_path, LIMIT)
    stalled, real = threading.Event(), os.write

    def slow(descriptor: int, data: bytes) -> int:
        stalled.wait(30)
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", slow)
        thread = threading.Thread(target=append, args=(appending, "slow"))
        thread.start()
        start = time.monotonic()
        appending.check()
        assert time.monotonic() - start < 3
        assert failing(appending) == "a write to it has taken over 1 s"
        stalled.set()
        thread.join()
    appending.check()
    assert failing(appending) is None
    assert stored(tmp_path) == ["slow"]
    appending.close()


def test_many_writes_one_after_the_other_are_no_stall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is hardly ever free, and not fair."""
    monkeypatch.setattr(spool, "STALL_SECONDS", 0.05)
    appending = Spool(tmp_path, LIMIT)
    over, real = threading.Event(), os.write

    def slow(descriptor: int, data: bytes) -> int:
        time.sleep(0.005)
        return real(descriptor, data)

    def run() -> None:
        while not over.is_set():
            append(appending, "a")

    monkeypatch.setattr(os, "write", slow)
    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    found = []
    for _ in range(20):
        appending.check()
        found.append(failing(appending))
    over.set()
    for thread in threads:
        thread.join()
    assert found == [None] * 20
    appending.close()


def test_a_disk_that_does_not_sync_acknowledges_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appending = Spool(tmp_path, LIMIT, "each")
    append(appending, "before")

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse)
        with pytest.raises(OSError, match="Input/output error"):
            append(appending, "lost")
    assert failing(appending) == "Input/output error"
    time.sleep(spool.RETRY_SECONDS)
    appending.check()
    append(appending, "after")
    assert stored(tmp_path) == ["before", "after"]
    assert failing(appending) is None
    appending.close()


@pytest.mark.parametrize(("fsync", "wanted"), [("off", 0), ("interval", 3), ("each", 40)])
def test_what_is_synced_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: spool.Fsync, wanted: int) -> None:
    """By interval: each segment that grew since the last check, those that ended meanwhile included, and once."""
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 6_000)
    synced: list[int] = []
    named: list[Path] = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    monkeypatch.setattr(active, "sync_folder", named.append)
    appending = Spool(tmp_path, LIMIT, fsync)
    for number in range(40):
        append(appending, f"{number}")
    inodes = [segment.path.stat().st_ino for segment in list_segments(tmp_path)]
    assert len(inodes) == 3
    assert named == [tmp_path] * (0 if fsync == "off" else 3), "the names of new segments, too"
    held = [segment.held for segment in list_segments(tmp_path)]
    assert held == ([True] * 3 if fsync == "interval" else [False, False, True])
    appending.check()
    appending.check()
    assert len(synced) == wanted
    if wanted:
        assert set(synced) == set(inodes)
    assert [segment.held for segment in list_segments(tmp_path)] == [False, False, True]
    append(appending, "last")
    appending.close()
    assert len(synced) == wanted + (fsync != "off"), "closing leaves nothing behind"
