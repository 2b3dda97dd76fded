"""`windsock models set`, `promote` and `rollback`: what they write, and what they refuse with nothing changed."""

import getpass
import shutil
from typing import Any, cast

import msgspec
import pytest

from contracts.artifact import FILES, MODEL
from contracts.schema import Schema
from monitoring.log.desired import append_desired, artifact_digests, get_artifact
from registry.roles import change
from tasks.rain.schema import SCHEMA as RAIN
from tests.support.tiny import forge, tiny_model, write_store
from tests.unit.registry.roles.conftest import Desk


def test_a_challenger_a_shadow_promotion_and_the_way_back(desk: Desk) -> None:
    first, second, third, _ = desk.models
    desk.done("set", "--challenger", second[:10], "--weight", "0.1", "--by", "ann", "--reason", "try it")
    assert desk.now() == (first, second, 0.1, None)
    said = desk.history()[0]
    assert (said.changed_by, said.reason, said.desired.base) == ("ann", "try it", first)
    desk.done("set", "--shadow", third)
    assert desk.now() == (first, second, 0.1, third)
    desk.done("set", "--weight", "0.5")
    assert desk.now() == (first, second, 0.5, third)
    desk.done("promote")
    assert desk.now() == (second, None, 0.0, third)
    assert desk.history()[0].changed_by == getpass.getuser()
    desk.done("rollback", "--reason", "it is worse")
    assert desk.now() == (first, None, 0.0, third)
    desk.done("set", "--no-shadow")
    assert desk.now() == (first, None, 0.0, None)
    assert [change.desired.sequence for change in desk.history()] == [6, 5, 4, 3, 2, 1]


def test_roles_can_be_taken_away_and_given_anew(desk: Desk) -> None:
    first, second, third, fourth = desk.models
    desk.done("set", "--champion", second, "--challenger", third, "--weight", "1", "--shadow", fourth)
    assert desk.now() == (second, third, 1.0, fourth)
    desk.done("set", "--no-challenger", "--champion", third)
    assert desk.now() == (third, None, 0.0, fourth)
    desk.done("set", "--challenger", first, "--weight", "0")
    assert desk.now() == (third, first, 0.0, fourth)
    desk.done("rollback")
    assert desk.now() == (second, first, 0.0, fourth)
    desk.done("set", "--champion", first, "--no-challenger")
    assert desk.now() == (first, None, 0.0, fourth)


def test_rollback_goes_to_the_pointer_s_champion_and_drops_its_other_role(desk: Desk) -> None:
    first, second, *_ = desk.models
    desk.done("set", "--champion", second)
    desk.done("set", "--challenger", first, "--weight", "0.2")
    desk.done("rollback")
    assert desk.now() == (first, None, 0.0, None)
    desk.done("rollback")  # a second time goes forth again
    assert desk.now() == (second, None, 0.0, None)


def test_files_of_the_models_go_into_the_database(desk: Desk) -> None:
    second = desk.models[1]
    desk.done("set", "--challenger", second, "--weight", "0.1")
    assert second in artifact_digests(desk.engine)
    files = get_artifact(desk.engine, second)
    assert files == {name: (desk.root / "store" / second / name).read_bytes() for name in FILES}


def test_a_model_that_only_the_database_has_will_do(desk: Desk) -> None:
    second = desk.models[1]
    desk.done("set", "--challenger", second, "--weight", "0.1")
    shutil.rmtree(desk.root / "store" / second)
    desk.done("promote")
    assert desk.now()[0] == second
    assert f"* {second[:12]}  not in this store  champion" in desk.done()


def test_what_is_so_already_is_no_new_row(desk: Desk) -> None:
    desk.done("set", "--challenger", desk.models[1], "--weight", "0.1")
    assert "so it was already" in desk.done("set", "--challenger", desk.models[1], "--weight", "0.1")
    assert len(desk.history()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set"], "must be told what to change"),
        (["set", "--challenger", "feedbeef", "--weight", "0.1"], "`digest` must begin the name of one model of"),
        (["set", "--challenger", "", "--weight", "0.1"], "`digest` must begin the name of one model of"),
        (["set", "--shadow", "{1}", "--no-shadow"], "`shadow` must be given or taken away"),
        (["set", "--challenger", "{1}"], "`weight` must come with a new challenger"),
        (["set", "--weight", "0.1"], "`weight` must come with a challenger"),
        (["set", "--challenger", "{1}", "--weight", "1.01"], "`weight` must be from 0 to 1, got 1.01"),
        (["set", "--challenger", "{1}", "--weight", "-0.1"], "`weight` must be from 0 to 1, got -0.1"),
        (["set", "--challenger", "{1}", "--weight", "nan"], "`weight` must be from 0 to 1, got nan"),
        (["set", "--challenger", "{0}", "--weight", "0.1"], "`challenger` must be another model than the champion"),
        (["set", "--shadow", "{0}"], "`shadow` must be another model than the champion"),
        (["promote"], "`challenger` must be a model, got none to promote"),
        (["rollback"], "`rollback` must find a former champion"),
    ],
)
def test_refused(desk: Desk, arguments: list[str], message: str) -> None:
    assert message in desk.refused(*(argument.format(*desk.models) for argument in arguments))


def test_an_ambiguous_digest_is_refused(desk: Desk) -> None:
    for name in ("ab" * 32, "ab" * 31 + "cd"):
        (desk.root / "store" / name).mkdir()
    assert "there are: abababababab, abababababab" in desk.refused("set", "--shadow", "abab")


def test_a_model_that_does_not_verify_is_refused(desk: Desk) -> None:
    second = desk.models[1]
    (desk.root / "store" / second / MODEL).write_bytes(b"another graph")
    assert "artifact" in desk.refused("set", "--shadow", second)
    assert artifact_digests(desk.engine) == []


def test_a_damaged_champion_does_not_stand_in_the_way_of_the_former_one(desk: Desk) -> None:
    first, second, third, _ = desk.models
    desk.done("set", "--champion", second, "--shadow", third)
    for digest in (second, third):
        (desk.root / "store" / digest / MODEL).write_bytes(b"another graph")
    desk.done("rollback")
    assert desk.now() == (first, None, 0.0, third)


def test_a_model_of_another_task_or_schema_is_refused(desk: Desk) -> None:
    rain = write_store(desk.root, tiny_model(RAIN), RAIN)
    (desk.root / "store/champion").write_text(desk.models[0])
    assert "must be of the champion's task flight-delay" in desk.refused("set", "--shadow", rain)
    copied = desk.root / "store" / desk.models[3]
    shutil.copytree(copied, desk.root / "copy")
    other = forge(desk.root, desk.models[3], _rename_a_feature)
    (desk.root / "store/champion").write_text(desk.models[0])
    assert "must be of the champion's schema" in desk.refused("set", "--challenger", other, "--weight", "0.1")


def _rename_a_feature(manifest: dict[str, object]) -> None:
    schema = cast("dict[str, Any]", manifest["schema"])
    schema["numeric"][0]["high"] += 1
    manifest["schema_hash"] = msgspec.convert(schema, Schema).hash


def test_somebody_else_s_change_is_not_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both began from the same row; the one that comes second is told so."""
    real = append_desired

    def late(*arguments: object, **named: object) -> object:
        monkeypatch.setattr(change, "append_desired", real)
        desk.done("set", "--shadow", desk.models[2])
        return real(*arguments, **named)  # type: ignore[arg-type] # passed through

    monkeypatch.setattr(change, "append_desired", late)
    result = desk.run("set", "--challenger", desk.models[1], "--weight", "0.1")
    assert result.exit_code == 1
    assert "somebody has changed them" in result.output
    assert desk.now() == (desk.models[0], None, 0.0, desk.models[2])


def test_roles_are_said_for_the_pointer_of_the_replicas(desk: Desk) -> None:
    """In a cluster it comes with the release of the cluster, not with this store."""
    first, second, third, _ = desk.models
    desk.report("pod-a/1", pointer=second)
    desk.report("pod-old/1", pointer=third, seconds_ago=60)
    desk.done("set", "--shadow", first)
    assert desk.history()[0].desired.base == second
    assert desk.now() == (second, None, 0.0, first)
    desk.report("pod-b/1", pointer=third)
    said = desk.refused("set", "--no-shadow")
    assert "`pointer` must be the same for all replicas" in said
    assert "a rollout is under way" in said


def test_without_pointer_and_replicas_there_is_nothing_to_say_roles_for(desk: Desk) -> None:
    (desk.root / "store/champion").unlink()
    assert "must name the released model" in desk.refused("set", "--shadow", desk.models[1])
