"""Desired roles and their models come out of the database into local files; what workers have goes into it."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from contracts.artifact import FILES, MODEL, verify
from contracts.store import find_model, wanted
from contracts.store.state import Desired, State
from monitoring.log.database import open_log
from monitoring.log.desired import append_desired, put_artifact, replicas
from monitoring.log.schema import ROLES
from services.companion import following
from services.companion.following import KEPT_ROWS, Following
from services.companion.replicas import Replicas
from tests.support.tiny import tiny_model, write_store
from tests.unit.services.companion.conftest import write_replica


@dataclass
class Place:
    """A store with one champion, a state, and a database with the roles; `models` are in no store."""

    folder: Path
    base: str
    models: list[str]
    engine: sa.Engine
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = State(self.folder / "state")

    def say(self, champion: str | None = None, base: str | None = None, **roles: object) -> Desired:
        return append_desired(
            self.engine,
            msgspec.convert({"champion": champion or self.base, "base": base or self.base} | roles, Desired),
            time.time_ns() // 1000,
            "tests",
            "",
        )

    def put(self, digest: str) -> None:
        source = self.folder / "elsewhere" / digest
        put_artifact(self.engine, digest, {name: (source / name).read_bytes() for name in FILES})

    def following(self) -> Following:
        return Following(self.engine, self.folder / "store", self.folder / "signing.pub", self.state)

    def found(self, digest: str) -> Path:
        return find_model(digest, self.folder / "store", self.state)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    models = []
    for number in range(2):
        digest = write_store(tmp_path, tiny_model(known=("AA", f"X{number}")))
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        (tmp_path / "store" / digest).rename(tmp_path / "elsewhere" / digest)
        models.append(digest)
    base = write_store(tmp_path)
    engine = open_log(f"sqlite:///{tmp_path / 'state/predictions.db'}")
    yield Place(tmp_path, base, models, engine)
    engine.dispose()


def test_a_row_and_its_models_become_files(place: Place) -> None:
    challenger, shadow = place.models
    place.put(challenger)
    place.put(shadow)
    said = place.say(challenger=challenger, weight=0.25, shadow=shadow)
    place.following().step()
    assert wanted(place.folder / "store", place.state) == said
    assert said.sequence > 0
    for digest in place.models:
        assert verify(place.found(digest), place.folder / "signing.pub", digest).digest == digest
    assert place.found(place.base) == place.folder / "store" / place.base  # the store's own is not brought again
    assert not (place.state.models / place.base).exists()


def test_without_a_row_the_pointer_alone_counts(place: Place) -> None:
    place.following().step()
    assert place.state.read_desired() is None
    place.say(champion=place.models[0], base=place.models[1])  # of another pointer
    place.following().step()
    assert wanted(place.folder / "store", place.state) == Desired(champion=place.base, base=place.base)


def test_rows_that_are_gone_count_no_more(place: Place) -> None:
    place.put(place.models[0])
    place.say(champion=place.models[0])
    place.following().step()
    with place.engine.begin() as connection:
        connection.execute(sa.delete(ROLES))
    place.following().step()
    assert wanted(place.folder / "store", place.state) == Desired(champion=place.base, base=place.base)
    assert not place.found(place.models[0]).exists()


def test_a_file_that_is_damaged_is_written_again(place: Place) -> None:
    said = place.say(shadow=place.base, champion=place.base)
    following = place.following()
    following.step()
    place.state.desired.write_text("{")
    following.step()
    assert place.state.read_desired() == said


def test_the_file_changes_with_the_row_alone(place: Place) -> None:
    place.say()
    following = place.following()
    following.step()
    before = place.state.desired.stat().st_ino
    following.step()
    assert place.state.desired.stat().st_ino == before


def test_a_model_that_does_not_verify_never_becomes_visible(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, missing = place.models
    graph = place.folder / "elsewhere" / bad / MODEL
    good = graph.read_bytes()
    graph.write_bytes(b"another graph")
    place.put(bad)
    graph.write_bytes(good)
    said = place.say(challenger=bad, weight=0.5, shadow=missing)
    follower = place.following()
    follower.step()
    follower.step()
    assert place.state.read_desired() == said  # the worker finds no model, refuses it, and tells
    assert [digest for digest in place.models if place.found(digest).exists()] == []
    assert list(place.state.models.glob("*")) + list(place.state.models.glob(".*")) == []
    assert caplog.text.count("cannot be had") == 2  # each once, not with every look
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.0)
    place.put(missing)
    follower.step()
    assert place.found(missing).is_dir()


def test_models_go_when_none_of_the_newest_rows_wants_them(place: Place) -> None:
    for digest in place.models:
        place.put(digest)
    place.say(shadow=place.models[0])
    follower = place.following()
    follower.step()
    for _ in range(KEPT_ROWS - 1):
        place.say(shadow=place.models[1])
        follower.step()
    assert all(place.found(digest).is_dir() for digest in place.models)
    place.say(shadow=place.models[1])
    follower.step()
    assert [place.found(digest).is_dir() for digest in place.models] == [False, True]


def test_models_of_the_former_pointer_stay_while_its_word_does(place: Place) -> None:
    """The store may go back to it, and then desired.json counts at once."""
    place.put(place.models[0])
    said = place.say(champion=place.models[0])
    place.following().step()
    shutil.copytree(place.folder / "elsewhere" / place.models[1], place.folder / "store" / place.models[1])
    (place.folder / "store/champion").write_text(place.models[1])
    place.following().step()
    assert wanted(place.folder / "store", place.state).champion == place.models[1]
    (place.folder / "store/champion").write_text(place.base)
    assert wanted(place.folder / "store", place.state) == said
    assert place.found(place.models[0]).is_dir()


def test_states_of_living_workers_are_reported_when_they_change_and_each_second(place: Place) -> None:
    reporting = Replicas(place.engine, place.state)
    now = time.time()
    write_replica(place.state, 1, at=now)
    write_replica(place.state, 2, at=now - 30)  # died
    write_replica(place.state, 3, at=now - 300)
    reporting.step()
    (only,) = replicas(place.engine, 0)
    assert only.name.endswith("/1")
    assert not (place.state.replicas / "3.json").exists()
    reporting.step()
    assert replicas(place.engine, 0)[0].reported_us == only.reported_us
    write_replica(place.state, 1, at=now, sequence=7, refused=[{"role": "shadow", "digest": "d", "why": "w", "at": 1}])
    reporting.step()
    (changed,) = replicas(place.engine, 0)
    assert (changed.state.sequence, changed.state.refused[0].why) == (7, "w")
    time.sleep(1.0)
    write_replica(place.state, 1, at=time.time(), sequence=7)
    reporting.step()
    assert replicas(place.engine, 0)[0].reported_us > changed.reported_us + 900_000
    assert json.loads((place.state.replicas / "1.json").read_text())["sequence"] == 7
