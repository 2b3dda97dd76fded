"""`windsock models` shows roles and replicas; changes wait for the replicas and tell what they made of it."""

import re
import shutil
import threading
import time

import pytest

from contracts.store.state import Refused
from registry.roles import announce
from tests.unit.registry.roles.conftest import Desk, refusal


def test_roles_stand_with_the_models_and_the_star_with_the_champion(desk: Desk) -> None:
    first, second, third, _ = desk.models
    lines = desk.done().splitlines()
    assert [line[2:14] for line in lines if line.startswith("*")] == [first[:12]]
    assert len(lines) == 4
    desk.done("set", "--champion", second, "--challenger", first, "--weight", "0.25", "--shadow", third)
    lines = desk.done().splitlines()
    roles = {line[2:14]: line.rsplit("  ", 1)[1] for line in lines}
    assert {roles[digest[:12]] for digest in (first, second, third)} == {"challenger 0.25", "champion", "shadow"}
    assert [line[2:14] for line in lines if line.startswith("*")] == [second[:12]]


def test_replicas_with_what_they_have_and_refused(desk: Desk) -> None:
    first, second, third, _ = desk.models
    desk.report(
        "host/7", sequence=3, weight=0.1, loaded={"champion": first, "challenger": second},
        refused=(refusal("shadow", third),),
    )  # fmt: skip
    desk.report("gone/8", seconds_ago=120)
    desk.report("history/9", seconds_ago=7_200)
    shown = desk.done()
    assert f"host/7  champion: {first[:12]}, challenger 0.1: {second[:12]}  (row 3)\n" in shown
    assert f"  refused shadow {third[:12]}: it gave NaN on warm-up rows" in shown
    assert re.search(rf"gone/8  champion: {first[:12]}  \(pointer {first[:12]}\)  stale: silent for 12\d s", shown)
    assert "history/9" not in shown


def test_an_old_row_does_not_count_under_another_pointer(desk: Desk) -> None:
    desk.done("set", "--champion", desk.models[1])
    (desk.root / "store/champion").write_text(desk.models[2])
    assert [line[2:14] for line in desk.done().splitlines() if line[0] == "*"] == [desk.models[2][:12]]


def test_without_a_database_the_pointer_is_shown(desk: Desk) -> None:
    desk.engine.dispose()
    shutil.rmtree(desk.root / "state")
    assert f"* {desk.models[0][:12]}" in desk.done()
    assert not (desk.root / "state").exists()


def test_a_database_that_is_away_is_told_and_the_models_are_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDSOCK_DATABASE_URL", "postgresql+psycopg://u:secret@127.0.0.1:9/d")
    result = desk.run()
    assert result.exit_code == 0
    assert f"* {desk.models[0][:12]}" in result.stdout
    assert "What the store's pointer says is shown: the prediction log" in result.stderr
    assert "secret" not in result.output


def answer(desk: Desk, *refused: Refused) -> threading.Thread:
    """A replica that follows the next row half a second after it is there."""

    def follow() -> None:
        while not desk.history():
            time.sleep(0.02)
        time.sleep(0.5)
        desk.report("host/1", sequence=desk.history()[0].desired.sequence, refused=refused)

    thread = threading.Thread(target=follow)
    thread.start()
    return thread


def test_a_change_waits_until_the_replicas_have_loaded_it(desk: Desk) -> None:
    desk.report("host/1")
    thread = answer(desk)
    began = time.monotonic()
    result = desk.run("set", "--shadow", desk.models[1], wait=True)
    seconds = time.monotonic() - began
    thread.join()
    assert result.exit_code == 0, result.output
    assert "host/1: loaded" in result.output
    assert seconds > 0.4


def test_a_refusal_is_told_with_its_reason_and_the_status_is_1(desk: Desk) -> None:
    second = desk.models[1]
    desk.report("host/1")
    thread = answer(desk, refusal("shadow", second))
    result = desk.run("set", "--shadow", second, wait=True)
    thread.join()
    assert result.exit_code == 1
    assert f"host/1: refused shadow {second[:12]}: it gave NaN on warm-up rows" in result.output


def test_a_refused_champion_leaves_the_old_row_in_force(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The replica then follows no later row than before; what it had refused before the change is no answer."""
    monkeypatch.setattr(announce, "WAIT_SECONDS", 2.0)
    second = desk.models[1]
    desk.report("host/1", refused=(refusal("champion", second, at=1.0),))
    began = time.monotonic()
    timer = threading.Timer(0.7, lambda: desk.report("host/1", refused=(refusal("champion", second, at=2.0),)))
    timer.start()
    result = desk.run("set", "--champion", second, wait=True)
    seconds = time.monotonic() - began
    timer.join()
    assert result.exit_code == 1
    assert f"refused champion {second[:12]}" in result.output
    assert seconds > 0.6


def test_a_replica_that_does_not_follow_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announce, "WAIT_SECONDS", 0.3)
    desk.report("host/1")
    result = desk.run("set", "--shadow", desk.models[1], wait=True)
    assert result.exit_code == 1
    assert "host/1: has not followed within 0.3 s" in result.output


def test_without_replicas_nobody_is_waited_for(desk: Desk) -> None:
    result = desk.run("set", "--shadow", desk.models[1], wait=True)
    assert result.exit_code == 0
    assert "no replica reports" in result.output


def test_options_of_the_group_are_those_of_its_commands(desk: Desk) -> None:
    place = ["--root", str(desk.root), "--store", str(desk.root / "store"), "--state", str(desk.root / "state")]
    key = ["--public-key", str(desk.root / "signing.pub")]
    result = desk.windsock("models", *place, *key, "set", "--shadow", desk.models[1], "--no-wait")
    assert result.exit_code == 0, result.output
    assert desk.now()[3] == desk.models[1]
