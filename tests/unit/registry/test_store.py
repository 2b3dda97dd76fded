"""What the store holds, listed; content that DVC restored gets its envelope back; a challenger changes no champion."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli import main
from contracts.artifact import CONTENT, ENVELOPE, verify
from contracts.errors import ArtifactInvalid
from contracts.workspace import Workspace
from registry.connection import connected
from registry.release import release
from tests.support.runs import package_candidate
from tests.unit.registry.test_release import change_model


@pytest.fixture
def workspace(project: Path, params: dict[str, Any]) -> Workspace:
    package_candidate(project, params)
    return Workspace(project)


def test_models_lists_the_store_with_the_champion_marked(workspace: Workspace, params: dict[str, Any]) -> None:
    assert lines(workspace) == []
    first = release(workspace)
    change_model(workspace.root)
    package_candidate(workspace.root, params)
    second = release(workspace)
    found = lines(workspace)
    assert {line[2:14] for line in found} == {first[:12], second[:12]}
    assert [line[2:14] for line in found if line.startswith("*")] == [second[:12]]
    assert all(re.search(r"20\d\d-\d\d-\d\dT.*student as of 2013-07-01 .*auc 0\.7", line) for line in found)
    (workspace.store / first / "model.onnx").write_bytes(b"damaged")
    assert "does not verify: artifact" in lines(workspace)[-1]
    assert lines(workspace)[-1][2:14] == first[:12]


def test_challenger_is_registered_and_the_champion_stays(workspace: Workspace, params: dict[str, Any]) -> None:
    champion = release(workspace)
    change_model(workspace.root)
    package_candidate(workspace.root, params)
    done = CliRunner().invoke(main, ["release", "--challenger", "--root", str(workspace.root)])
    assert done.exit_code == 0, done.output
    challenger = done.output.splitlines()[-1]
    assert challenger != champion
    verify(workspace.store / challenger, workspace.public_key, challenger)
    with connected(workspace) as client:
        for alias, digest in (("champion", champion), ("challenger", challenger)):
            assert client.get_model_version_by_alias("flight-delay", alias).tags["digest"] == digest
        assert champion in str(client.get_registered_model("flight-delay").description)
    assert (workspace.store / "champion").read_text() == champion


def test_content_that_dvc_restored_is_released_with_its_own_envelope(
    workspace: Workspace, params: dict[str, Any]
) -> None:
    """DVC keeps the three content files; the envelope beside them is that of whatever was packaged last."""
    content = {name: (workspace.candidate / name).read_bytes() for name in CONTENT}
    first = verify(workspace.candidate, workspace.public_key)
    change_model(workspace.root)
    package_candidate(workspace.root, params)
    for name, value in content.items():
        (workspace.candidate / name).write_bytes(value)
    assert release(workspace) == first.digest
    assert verify(workspace.store / first.digest, workspace.public_key).provenance == first.provenance


@pytest.mark.parametrize("lost", ENVELOPE)
def test_a_lost_envelope_is_taken_from_where_it_is_kept(workspace: Workspace, lost: str) -> None:
    (workspace.candidate / lost).unlink()
    digest = release(workspace)
    verify(workspace.candidate, workspace.public_key, digest)


def test_without_an_envelope_the_message_says_what_to_run(workspace: Workspace) -> None:
    for name in ENVELOPE:
        (workspace.candidate / name).unlink()
    shutil.rmtree(workspace.envelopes)
    rule = r"candidate` must have the envelope .* got none there.*run `dvc repro --force --single-item package`"
    with pytest.raises(ArtifactInvalid, match=rule):
        release(workspace)
    assert not workspace.store.exists()


def test_packaged_again_the_candidate_has_the_newest_envelope_and_the_store_the_one_it_had(
    workspace: Workspace, params: dict[str, Any], empty_database: bytes
) -> None:
    digest = release(workspace)
    before = verify(workspace.store / digest, workspace.public_key).provenance
    workspace.mlflow_database.write_bytes(empty_database)  # so that the training is another run
    package_candidate(workspace.root, params)
    newer = verify(workspace.candidate, workspace.public_key).provenance
    assert newer.mlflow_run_id != before.mlflow_run_id
    assert release(workspace) == digest
    assert verify(workspace.store / digest, workspace.public_key).provenance == before
    with connected(workspace) as client:  # which knows only the newer run
        assert client.get_model_version_by_alias("flight-delay", "champion").run_id == newer.mlflow_run_id


def lines(workspace: Workspace) -> list[str]:
    """What `windsock models` prints."""
    done = CliRunner().invoke(main, ["models", "--root", str(workspace.root)])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()
