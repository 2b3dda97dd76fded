"""A release is verified, whole, repeatable, and killed anywhere it leaves the last good champion."""

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest

from contracts.artifact import FILES, verify
from contracts.errors import ArtifactInvalid, ParameterError, Unavailable
from contracts.workspace import Workspace
from registry import release
from registry.connection import connected
from registry.keys import signing_keys
from tests.support.runs import package_candidate


@pytest.fixture
def candidate(project: Path, params: dict[str, Any]) -> Path:
    package_candidate(project, params)
    return project


def change_model(project: Path) -> None:
    """Give the project another graph, so that the next candidate has another digest."""
    path = project / "artifacts/compress/student.onnx"
    model = onnx.load_model_from_string(path.read_bytes())
    model.producer_name = "another"
    path.write_bytes(model.SerializeToString())


def test_release_stores_registers_and_points(candidate: Path) -> None:
    digest = release.release(Workspace(candidate))
    store = candidate / "artifacts/store"
    assert (store / "champion").read_text() == digest
    verify(store / digest, candidate / "secrets/signing.pub", digest)
    with connected(Workspace(candidate)) as client:
        version = client.get_model_version_by_alias("flight-delay", "champion")
        run_id = json.loads((store / digest / "provenance.json").read_bytes())["mlflow_run_id"]
        assert version.tags["digest"] == digest
        assert digest in str(version.description)
        assert version.run_id == run_id
        folder = client.download_artifacts(run_id, digest[:12])
    assert Path(folder, "model.onnx").read_bytes() == (store / digest / "model.onnx").read_bytes()


def test_released_again_is_the_same_version(candidate: Path) -> None:
    before = _state(candidate, release.release(Workspace(candidate)))
    assert _state(candidate, release.release(Workspace(candidate))) == before
    assert before["versions"] == ["1"]


def test_champion_outlives_its_candidate(candidate: Path) -> None:
    digest = release.release(Workspace(candidate))
    shutil.rmtree(candidate / "artifacts/candidate")
    verify(candidate / "artifacts/store" / digest, candidate / "secrets/signing.pub", digest)


def test_lost_database_is_registered_anew(candidate: Path, empty_database: bytes) -> None:
    digest = release.release(Workspace(candidate))
    (candidate / "artifacts/mlflow.db").write_bytes(empty_database)
    assert release.release(Workspace(candidate)) == digest
    state = _state(candidate, digest)
    assert (state["versions"], state["alias"]) == (["1"], digest)
    with connected(Workspace(candidate)) as client:
        run = client.get_run(str(client.get_model_version_by_alias("flight-delay", "champion").run_id))
    assert run.data.tags["data_sha256.flights.csv.zip"] == "1f" * 32
    assert run.data.metrics["auc"] == 0.7


def test_flipped_bit_is_refused(candidate: Path, params: dict[str, Any]) -> None:
    before = _state(candidate, release.release(Workspace(candidate)))
    package_candidate(candidate, params)
    for name in FILES:
        path = candidate / "artifacts/candidate" / name
        good = path.read_bytes()
        path.write_bytes(good[:-20] + bytes([good[-20] ^ 1]) + good[-19:])
        with pytest.raises(ArtifactInvalid):
            release.release(Workspace(candidate))
        path.write_bytes(good)
        assert _state(candidate, str(before["champion"])) == before


def test_foreign_signature_is_refused(candidate: Path, params: dict[str, Any]) -> None:
    before = _state(candidate, release.release(Workspace(candidate)))
    foreign = signing_keys(candidate / "foreign")
    ours = candidate / "secrets/signing.pub"
    trusted = ours.read_bytes()
    (candidate / "secrets/signing.key").write_bytes(foreign.private.read_bytes())
    ours.unlink()  # made again from the foreign key, so that `package` is content
    package_candidate(candidate, params)
    ours.write_bytes(trusted)
    with pytest.raises(ArtifactInvalid, match="must be signed by the key"):
        release.release(Workspace(candidate))
    assert _state(candidate, str(before["champion"])) == before


def test_without_a_candidate_the_message_says_what_to_run(project: Path) -> None:
    with pytest.raises(ArtifactInvalid, match=r"artifacts/candidate` must hold .* run `dvc repro"):
        release.release(Workspace(project))
    assert not (project / "artifacts/store").exists()


def test_what_is_verified_is_the_copy(candidate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy_another(source: Path, target: Path) -> None:
        target.write_bytes(b"something else by now")

    monkeypatch.setattr(shutil, "copyfile", copy_another)
    with pytest.raises(ArtifactInvalid):
        release.release(Workspace(candidate))
    assert {path.name for path in (candidate / "artifacts/store").iterdir()} == {".lock"}


def test_damaged_copy_in_the_store_is_mended(candidate: Path) -> None:
    digest = release.release(Workspace(candidate))
    stored = candidate / "artifacts/store" / digest
    (stored / "model.onnx").write_bytes(b"damaged")
    release.release(Workspace(candidate))
    verify(stored, candidate / "secrets/signing.pub", digest)


def test_a_former_model_of_the_store_becomes_champion_again(candidate: Path, params: dict[str, Any]) -> None:
    first = release.release(Workspace(candidate))
    change_model(candidate)
    package_candidate(candidate, params)
    second = release.release(Workspace(candidate))
    assert second != first
    assert release.release(Workspace(candidate), first[:12]) == first
    state = _state(candidate, first)
    assert (state["champion"], state["alias"], state["all versions"]) == (first, first, 2)
    with pytest.raises(ParameterError, match=f"got 'none'; there are: .*{second[:12]}"):
        release.release(Workspace(candidate), "none")
    with pytest.raises(ParameterError, match="must begin the name of one model"):
        release.release(Workspace(candidate), "")
    (candidate / "artifacts/store" / second / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ArtifactInvalid):
        release.release(Workspace(candidate), second)
    assert (candidate / "artifacts/store/champion").read_text() == first


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


STEPS = {
    "copy": "shutil.copyfile",
    "rename": "pathlib.Path.rename",
    "new model": "mlflow.MlflowClient.create_registered_model",
    "files": "mlflow.MlflowClient.log_artifacts",
    "version": "mlflow.MlflowClient.create_model_version",
    "alias": "mlflow.MlflowClient.set_registered_model_alias",
    "pointer": "pathlib.Path.replace",
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_the_champion_stays_and_a_second_run_finishes(
    candidate: Path, params: dict[str, Any], empty_database: bytes, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, key = candidate / "artifacts/store", candidate / "secrets/signing.pub"
    first = release.release(Workspace(candidate))
    (candidate / "artifacts/mlflow.db").write_bytes(empty_database)  # so that every step has something to do
    change_model(candidate)
    package_candidate(candidate, params)

    def die(*args: Any, **kwargs: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(STEPS[step], die)
        with pytest.raises(Killed):
            release.release(Workspace(candidate))
    assert (store / "champion").read_text() == first
    verify(store / first, key, first)

    second = release.release(Workspace(candidate))
    assert second != first
    state = _state(candidate, second)
    assert (state["champion"], state["alias"], state["versions"]) == (second, second, ["1"])
    verify(store / second, key, second)


def test_mlflow_away_leaves_the_champion(
    candidate: Path, params: dict[str, Any], empty_database: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = release.release(Workspace(candidate))
    database = candidate / "artifacts/mlflow.db"
    database.write_bytes(empty_database)
    change_model(candidate)
    package_candidate(candidate, params)
    good = database.read_bytes()
    database.write_bytes(b"this is no database")
    with pytest.raises(Unavailable, match=r"MLflow at `sqlite:///.*must answer.*move a damaged"):
        release.release(Workspace(candidate))
    assert (candidate / "artifacts/store/champion").read_text() == first
    database.write_bytes(good)
    second = release.release(Workspace(candidate))
    assert (candidate / "artifacts/store/champion").read_text() == second != first


def _state(project: Path, digest: str) -> dict[str, object]:
    """What a release may change."""
    store = project / "artifacts/store"
    files = {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}
    with connected(Workspace(project)) as client:
        versions = client.search_model_versions("name = 'flight-delay'")
        alias = client.get_model_version_by_alias("flight-delay", "champion")
    return {
        "files": files,
        "champion": (store / "champion").read_text(),
        "versions": [str(version.version) for version in versions if version.tags["digest"] == digest],
        "all versions": len(versions),
        "alias": alias.tags["digest"],
    }
