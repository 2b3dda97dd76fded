"""What the database says about models: roles as a history, their files, what replicas report."""

import threading

import pytest
import sqlalchemy as sa

from contracts.artifact import FILES
from contracts.errors import DataError, Unavailable
from contracts.store.state import Desired, ReplicaState
from monitoring.log.desired import (
    append_desired,
    get_artifact,
    history,
    newest_desired,
    put_artifact,
    replicas,
    report_replicas,
)

A, B, C = "a" * 64, "b" * 64, "c" * 64


def test_the_newest_word_for_a_pointer_counts_and_all_are_the_history(engine: sa.Engine) -> None:
    assert newest_desired(engine, A) is None
    first = append_desired(engine, Desired(A, B, 0.25, C, base=A), 10, "ann", "try it")
    second = append_desired(engine, Desired(B, base=A), 20, "bob", "it is better")
    elsewhere = append_desired(engine, Desired(C, base=C), 30, "eve", "another release")
    assert newest_desired(engine, A) == second == Desired(B, base=A, sequence=second.sequence)
    assert newest_desired(engine, C) == elsewhere
    assert first.sequence < second.sequence < elsewhere.sequence
    changes = history(engine, A)
    assert [change.desired for change in changes] == [second, first]
    assert [(change.changed_us, change.changed_by, change.reason) for change in changes] == [
        (20, "bob", "it is better"), (10, "ann", "try it")
    ]  # fmt: skip
    assert [change.desired for change in history(engine, limit=1)] == [elsewhere]


def test_of_two_who_change_at_once_one_is_told(engine: sa.Engine) -> None:
    told: list[object] = []

    def change(name: str) -> None:
        try:
            told.append(append_desired(engine, Desired(A, base=A), 1, name, "", after=0))
        except DataError as error:
            told.append(str(error))

    threads = [threading.Thread(target=change, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history(engine)) == 1
    refused = [one for one in told if isinstance(one, str)]
    assert len(refused) == 3
    assert all("somebody has changed them meanwhile" in one for one in refused)


def test_files_of_a_model_come_back_as_they_were_put(engine: sa.Engine) -> None:
    files = {name: name.encode() * 100 + b"\0\xff" for name in FILES}
    assert get_artifact(engine, A) is None
    for content in (files, dict.fromkeys(FILES, b"other")):  # what is there stays
        put_artifact(engine, A, content)
        assert get_artifact(engine, A) == files
    with pytest.raises(DataError, match="`files` must be manifest"):
        put_artifact(engine, B, {"model.onnx": b""})
    assert get_artifact(engine, B) is None


def test_a_replica_is_listed_as_it_reported_last(engine: sa.Engine) -> None:
    old = ReplicaState(7, A, 0, 0.0, {"champion": A}, (), 1.0)
    new = ReplicaState(7, A, 3, 0.5, {"champion": A, "challenger": B}, (), 2.0)
    report_replicas(engine, {}, 1)
    report_replicas(engine, {"pod-1": old, "pod-2": old}, 100)
    report_replicas(engine, {"pod-1": new}, 200)
    assert [(one.name, one.state, one.reported_us) for one in replicas(engine, 0)] == [
        ("pod-1", new, 200), ("pod-2", old, 100)
    ]  # fmt: skip
    assert [one.name for one in replicas(engine, 150)] == ["pod-1"]
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE replicas SET state = '{}' WHERE name = 'pod-1'")
    assert [one.name for one in replicas(engine, 0)] == ["pod-2"]


def test_a_database_that_is_away_is_unavailable() -> None:
    away = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", connect_args={"connect_timeout": 1})
    with pytest.raises(Unavailable, match="must answer and take writes"):
        newest_desired(away, A)
