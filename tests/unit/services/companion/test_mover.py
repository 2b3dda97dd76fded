"""Frames of the spool are in the database once, whatever is damaged, refused or repeated; then the segments go."""

from pathlib import Path

import pytest

from contracts.errors import DataError, Unavailable
from contracts.store.state import State
from monitoring.log.database import connect
from monitoring.spool.frames import predictions_frame
from monitoring.spool.segments import list_segments
from monitoring.spool.spool import Spool
from services.companion.mover import Mover
from services.companion.offsets import FILE, Offsets
from tests.unit.services.companion.conftest import frame, ids, label, prediction


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'predictions.db'}"


def mover(tmp_path: Path, url: str) -> Mover:
    return Mover(connect(url), tmp_path / "spool", Offsets(State(tmp_path)))


def move_all(mover: Mover) -> None:
    while mover.step():
        pass


def test_what_is_moved_counts_and_an_abandoned_segment_is_deleted(tmp_path: Path, url: str) -> None:
    spool = Spool(tmp_path / "spool", 2**30)
    spool.append(frame("a", 3) + frame("b") + label("a"), 5)
    moving = mover(tmp_path, url)
    assert (moving.waiting().rows, moving.moved_rows) == (5, 0)
    move_all(moving)
    assert (ids(url), ids(url, "labels")) == (["a", "b"], ["label-a"])
    assert (moving.waiting().rows, moving.waiting().bytes, moving.moved_rows) == (0, 0, 5)
    assert len(list_segments(tmp_path / "spool")) == 1  # its process lives and may append
    spool.append(frame("c"), 1)
    spool.close()
    move_all(moving)
    assert ids(url) == ["a", "b", "c"]
    assert list_segments(tmp_path / "spool") == []
    assert moving.moved_rows == 6


def test_frames_longer_than_a_batch_are_moved(tmp_path: Path, url: str) -> None:
    spool = Spool(tmp_path / "spool", 2**30)
    for name in ("a", "b", "c"):
        spool.append(frame(name, 150_000), 150_000)
    moving = mover(tmp_path, url)
    move_all(moving)
    assert ids(url) == ["a", "b", "c"]
    assert moving.moved_rows == 450_000


def test_a_closed_segment_is_moved_to_its_end_and_gives_room_before_the_next_one(tmp_path: Path, url: str) -> None:
    """Segments that advance together are all deleted at the end: a full spool would stay full until then."""
    for names in ("ab", "cd", "ef"):
        spool = Spool(tmp_path / "spool", 2**30)
        for name in names:
            spool.append(frame(name, 150_000), 150_000)  # longer than a batch
        spool.close()
    moving, moved = mover(tmp_path, url), dict[int, int]()
    while moving.step():
        moved.setdefault(len(list_segments(tmp_path / "spool")), moving.moved_rows // 150_000)
    assert {left: moved[left] for left in (2, 1, 0)} == {2: 2, 1: 4, 0: 6}, "frames moved when so many are left"


def test_a_segment_that_cannot_be_read_holds_up_no_other_one(tmp_path: Path, url: str) -> None:
    for name in "abc":
        spool = Spool(tmp_path / "spool", 2**30)
        spool.append(frame(name), 1)
        spool.close()
    first = list_segments(tmp_path / "spool")[0].path
    content = first.read_bytes()
    first.unlink()
    first.mkdir()  # nobody reads that, root included
    moving = mover(tmp_path, url)
    with pytest.raises(OSError, match="directory"):
        move_all(moving)
    assert ids(url) == ["b", "c"]
    first.rmdir()
    first.write_bytes(content)
    move_all(moving)
    assert ids(url) == ["a", "b", "c"]


def test_a_lost_note_of_the_offsets_brings_no_row_twice(tmp_path: Path, url: str) -> None:
    spool = Spool(tmp_path / "spool", 2**30)
    spool.append(frame("a") + label("a"), 2)
    move_all(mover(tmp_path, url))
    for content in (None, b"{", b'{"offsets": {"x": "y"}}'):
        if content is None:
            (tmp_path / FILE).unlink()
        else:
            (tmp_path / FILE).write_bytes(content)
        move_all(mover(tmp_path, url))
        assert (ids(url), ids(url, "labels")) == (["a"], ["label-a"])


def test_the_next_mover_reads_on_from_the_offset(tmp_path: Path, url: str) -> None:
    spool = Spool(tmp_path / "spool", 2**30)
    spool.append(frame("a"), 1)
    move_all(mover(tmp_path, url))
    spool.append(frame("b"), 1)
    moving = mover(tmp_path, url)
    assert moving.waiting().rows == 1
    move_all(moving)
    assert moving.moved_rows == 1
    assert ids(url) == ["a", "b"]


def test_a_damaged_frame_is_put_aside_and_holds_up_nothing(tmp_path: Path, url: str) -> None:
    spool = Spool(tmp_path / "spool", 2**30)
    damaged = bytearray(frame("b"))
    damaged[-1] ^= 1
    spool.append(frame("a") + bytes(damaged) + frame("c"), 3)
    moving = mover(tmp_path, url)
    move_all(moving)
    assert ids(url) == ["a", "c"]
    assert moving.damaged == 1
    assert [path.read_bytes() for path in (tmp_path / "spool/bad").iterdir()] == [bytes(damaged)]
    spool.close()
    move_all(moving)
    assert list_segments(tmp_path / "spool") == []


def test_what_the_database_refuses_is_put_aside_and_holds_up_nothing(tmp_path: Path, url: str) -> None:
    refused = prediction("b", 2)
    refused.score = b""  # the table wants four bytes a row
    spool = Spool(tmp_path / "spool", 2**30)
    spool.append(frame("a") + predictions_frame(refused) + frame("c"), 4)
    moving = mover(tmp_path, url)
    move_all(moving)
    assert ids(url) == ["a", "c"]
    assert (moving.damaged, moving.moved_rows, moving.waiting().rows) == (1, 2, 0)
    assert len(list((tmp_path / "spool/bad").iterdir())) == 1
    move_all(mover(tmp_path, url))
    assert ids(url) == ["a", "c"]


def test_rows_wait_for_a_database_that_is_away(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'volume/predictions.db'}"
    spool = Spool(tmp_path / "spool", 2**30)
    spool.append(frame("a"), 1)
    (tmp_path / "volume").write_text("no folder")
    moving = mover(tmp_path, url)
    for _ in range(3):
        with pytest.raises(Unavailable):
            moving.step()
    assert moving.waiting().rows == 1
    (tmp_path / "volume").unlink()
    move_all(moving)
    assert ids(url) == ["a"]


def test_tables_of_another_version_are_no_reason_to_put_rows_aside(tmp_path: Path, url: str) -> None:
    spool = Spool(tmp_path / "spool", 2**30)
    spool.append(frame("a"), 1)
    engine = connect(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE predictions (request_id TEXT)")
    moving = mover(tmp_path, url)
    with pytest.raises(DataError, match="windsock log migrate"):
        moving.step()
    assert moving.waiting().rows == 1
    assert not (tmp_path / "spool/bad").exists()
