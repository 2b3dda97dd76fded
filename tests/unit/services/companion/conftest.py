"""A state's folder as workers leave it, and a real `windsock companion` on it."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import pytest
import sqlalchemy as sa

from contracts.settings import clean_environment
from contracts.store.state import CompanionState, State
from deploy.local import processes
from deploy.local.processes import Program
from monitoring.log.database import opened
from monitoring.spool.frames import Label, Prediction, label_frame, predictions_frame
from tests.support.serving import Store, wait_until

DIGEST = "d" * 64
NOW_US = time.time_ns() // 1000  # an old row would be deleted at once


def prediction(name: str, rows: int = 1, received_us: int = NOW_US) -> Prediction:
    return Prediction(
        id=name,
        request_id=name,
        digest=DIGEST,
        role="champion",
        schema_hash="e" * 64,
        protocol="rest",
        caller="tests",
        event_us=received_us,
        received_us=received_us,
        duration_us=100,
        rows=rows,
        numeric=bytes(8 * rows),
        category="\0".join(["é", ""] * rows).encode(),
        score=bytes(4 * rows),
    )


def frame(name: str, rows: int = 1) -> bytes:
    return predictions_frame(prediction(name, rows))


def label(name: str) -> bytes:
    return label_frame(Label(f"label-{name}", name, 0, True, None, NOW_US, "tests"))


def ids(url: str, table: str = "predictions") -> list[str]:
    """All that are in the database, in order; one that is there twice is here twice."""
    with opened(url) as engine, engine.connect() as connection:
        return [found for (found,) in connection.execute(sa.text(f"SELECT id FROM {table} ORDER BY id"))]  # noqa: S608 - the tests' own names


@dataclass
class Running:
    """A `windsock companion` that was started, and what it writes."""

    process: "Popen[bytes]"
    state: State
    output: Path
    started: float = field(default_factory=time.time)

    def said(self) -> str:
        return self.output.read_text()

    def status(self) -> CompanionState | None:
        """What it wrote since it was started."""
        found = self.state.read_companion()
        return found if found is not None and found.at >= self.started else None


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path, artifact_store: Store) -> Iterator[Start]:
    """Starts companions on `tmp_path/state`, ready; what is still running is killed at the end."""
    started: list[Running] = []

    def make(wait: bool = True, **settings: object) -> Running:
        values: dict[str, object] = {
            "state": tmp_path / "state",
            "store": artifact_store.store,
            "public_key": artifact_store.public_key,
        } | settings
        environment = clean_environment() | {f"WINDSOCK_{name.upper()}": str(value) for name, value in values.items()}
        output = tmp_path / f"companion-{len(started)}.log"
        program = Program("companion", [sys.executable, "-m", "cli", "companion"], 0, "", environment)
        process = processes.start(program, Path(__file__).parents[4], output, session=False)
        running = Running(process, State(tmp_path / "state"), output)
        started.append(running)
        if wait:
            wait_until(
                lambda: bool(running.status()) or process.poll() is not None, "the companion must become ready", 20
            )
            assert process.poll() is None, running.said()
        return running

    yield make
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def write_replica(state: State, pid: int | None = None, **values: object) -> None:
    """A worker's state, as it writes it."""
    pid = os.getpid() if pid is None else pid
    said = {
        "pid": pid, "pointer": DIGEST, "sequence": 0, "weight": 0.0, "loaded": {"champion": DIGEST},
        "refused": [], "at": time.time(),
    } | values  # fmt: skip
    state.replicas.mkdir(parents=True, exist_ok=True)
    temporary = state.replicas / f".{pid}"
    temporary.write_text(json.dumps(said))
    temporary.rename(state.replicas / f"{pid}.json")
