"""Real processes that append to one folder, and are killed."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitoring.spool.frames import Prediction, predictions_frame, record
from monitoring.spool.segments import delete, list_segments, read, used_bytes
from tests.support.manifests import ROOT
from tests.support.serving import wait_until
from tests.unit.monitoring.spool.conftest import prediction, stored

FRAME = len(predictions_frame(prediction("123456-0-12345")))

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts writers on `<tmp_path>/spool`; what they acknowledge stands in `<tmp_path>/<number>.log`."""
    started: list[subprocess.Popen[bytes]] = []

    def run(limit: int = 2**30, segment: int = 2**20, threads: int = 4, rate: int = 0) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{len(started)}.log").open("wb") as output:
            words = [str(tmp_path / "spool"), str(limit), str(segment), str(threads), str(rate)]
            command = [sys.executable, "-m", "tests.unit.monitoring.spool.writer", *words]
            started.append(subprocess.Popen(command, stdout=output, cwd=ROOT))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def held(folder: Path, process: subprocess.Popen[bytes]) -> bool:
    """Whether a segment of the process is held. One that was made since the folder was listed is not seen."""
    return any(segment.held for segment in list_segments(folder) if f"-{process.pid}-" in segment.name)


def acknowledged(tmp_path: Path) -> list[str]:
    """A line counts once it is whole: a kill may tear it, too."""
    lines = [line for path in sorted(tmp_path.glob("*.log")) for line in path.read_bytes().split(b"\n")[:-1]]
    return [line.decode() for line in lines if line != b"!"]


def test_every_acknowledged_frame_of_a_killed_process_is_read_back(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "spool"
    for _ in range(5):
        _kill_one_after_the_other(folder, start(), start())
    found = Counter(stored(folder))
    names = acknowledged(tmp_path)
    assert len(names) > 5_000
    assert set(names) <= found.keys()
    assert found.most_common(1)[0][1] == 1
    assert len(found) - len(names) <= 5 * 2 * 4, "unacknowledged, but whole: at most one a thread"
    assert not any(chunk.damaged for chunk in (read(segment, 0) for segment in list_segments(folder)))


def _kill_one_after_the_other(folder: Path, first: subprocess.Popen[bytes], second: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: held(folder, first) and held(folder, second), "two writers")
    time.sleep(random.SystemRandom().uniform(0.05, 0.4))
    first.kill()
    first.wait()
    assert not held(folder, first)
    wait_until(lambda: held(folder, second), "the segment of the one that lives")
    second.kill()
    second.wait()
    assert not any(segment.held for segment in list_segments(folder))


def test_a_reader_beside_living_writers_finds_each_frame_once(tmp_path: Path, start: Start) -> None:
    """Reads, keeps its offsets and deletes as the companion does, while two processes append and then are killed."""
    folder = tmp_path / "spool"
    processes = [start(), start()]
    offsets: dict[str, int] = {}
    found: list[str] = []
    deleted = 0

    def move() -> int:
        nonlocal deleted
        listed = list_segments(folder)
        for segment in listed:
            while (chunk := read(segment, offsets.get(segment.name, 0))).end > offsets.get(segment.name, 0):
                assert not chunk.damaged
                found.extend(value.id for one in chunk.frames if isinstance(value := record(one), Prediction))
                offsets[segment.name] = chunk.end
            if not segment.held:
                delete(segment)
                deleted += 1
        return len(listed)

    wait_until(lambda: move() >= 2, "two writers")
    wait_until(lambda: move() > 0 and deleted > 5, "rotations")
    for process in processes:
        process.kill()
        process.wait()
    move()
    names = acknowledged(tmp_path)
    assert set(names) <= set(found)
    assert len(found) == len(set(found)) >= 1_000
    assert deleted > 5
    assert list(folder.iterdir()) == []


def test_several_processes_share_one_limit(tmp_path: Path, start: Start) -> None:
    """3 x 4 threads of 200 frames a second append at most 2,400 x 0.25 s between two looks."""
    folder = tmp_path / "spool"
    for _ in range(3):
        start(limit=1_000_000, segment=200_000, rate=200)
    wait_until(lambda: all("!" in path.read_text() for path in tmp_path.glob("*.log")), "all three refused")
    time.sleep(1)
    used = used_bytes(folder)
    assert 1_000_000 - FRAME <= used <= 1_000_000 + 600 * FRAME
    names = acknowledged(tmp_path)
    assert set(names) == set(stored(folder))
    for segment in list_segments(folder):
        if not segment.held:
            delete(segment)
    wait_until(lambda: len(acknowledged(tmp_path)) > len(names) + 100, "appends once there is room", 10)
