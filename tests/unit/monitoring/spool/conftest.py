"""Spools on real file systems, and what stands in them."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitoring.spool.frames import Label, Prediction, record
from monitoring.spool.segments import Segment, list_segments, read

MountTmpfs = Callable[[str], Path]


def prediction(name: str, rows: int = 1) -> Prediction:
    return Prediction(
        id=name,
        request_id=name,
        digest="d" * 64,
        role="champion",
        schema_hash="e" * 64,
        protocol="rest",
        caller="",
        event_us=1_000_000,
        received_us=2_000_000,
        duration_us=100,
        rows=rows,
        numeric=bytes(31 * 4 * rows),
        category="\0".join(["é", "", "x"] * rows).encode(),
        score=bytes(4 * rows),
    )


def whole(segment: Segment) -> list[Prediction | Label]:
    """All records of a segment, read in chunks from its start."""
    found, offset = [], 0
    while (chunk := read(segment, offset)).end > offset:
        found += [value for one in chunk.frames if (value := record(one)) is not None]
        offset = chunk.end
    return found


def stored(folder: Path) -> list[str]:
    """Ids of all records of a spool, in the order in which they were appended."""
    return [value.id for segment in list_segments(folder) for value in whole(segment)]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[MountTmpfs]:
    """Mounts file systems of their own, by the options of tmpfs; skips where this may not be done."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        folder = tmp_path / f"volume{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"a file system of its own needs root: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
