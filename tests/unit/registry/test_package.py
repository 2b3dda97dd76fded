"""What `package` writes can be verified, explains itself, and joins the MLflow run that made it."""

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import msgspec
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from contracts.artifact import CONTENT, Git, verify
from contracts.errors import ArtifactInvalid
from contracts.workspace import Workspace
from registry import tracking
from registry.artifact_writer import Origin, write_artifact
from registry.connection import connected
from registry.keys import signing_keys
from tasks.flights.schema import SCHEMA
from tests.support.runs import children, curve, package_candidate
from tests.support.tiny import NOWHERE, tiny_content

Graph = Callable[..., onnx.ModelProto]


def test_candidate_verifies_and_explains_itself(project: Path, params: dict[str, Any]) -> None:
    package_candidate(project, params)
    artifact = verify(project / "artifacts/candidate", project / "secrets/signing.pub")
    manifest = artifact.manifest
    assert artifact.model == (project / "artifacts/compress/student.onnx").read_bytes()
    assert (manifest.released, manifest.as_of) == ("student", "2013-07-01")
    assert (manifest.schema, manifest.schema_hash) == (SCHEMA, SCHEMA.hash)
    assert artifact.provenance.data_sha256 == {"flights.csv.zip": "1f" * 32}
    assert (manifest.metrics["auc"], manifest.metrics["bytes"]) == (0.7, 123)
    assert artifact.provenance.versions["onnxruntime"] == onnxruntime.__version__


def test_teacher_is_packaged_when_compress_chose_it(project: Path, params: dict[str, Any], graph: Graph) -> None:
    path = project / "reports/compression.json"
    report = json.loads(path.read_bytes())
    path.write_text(json.dumps(report | {"released": "teacher", "teacher": report["teacher"] | {"auc": 0.72}}))
    teacher = graph()
    teacher.producer_name = "teacher"
    (project / "artifacts/compress/teacher.onnx").write_bytes(teacher.SerializeToString())
    package_candidate(project, params)
    artifact = verify(project / "artifacts/candidate", project / "secrets/signing.pub")
    assert artifact.model == teacher.SerializeToString()
    assert (artifact.manifest.released, artifact.manifest.metrics["auc"]) == ("teacher", 0.72)


def test_manifest_names_the_run_that_made_the_weights(project: Path, params: dict[str, Any]) -> None:
    with tracking.training_run(Workspace(project), SCHEMA, params) as run:
        run.log_epoch(1, {"train_loss": 0.6})
        run.finish()
    package_candidate(project, params)
    assert _provenance(project)["mlflow_run_id"] == run.run_id
    with connected(Workspace(project)) as client:
        found = client.get_run(run.run_id)
        teacher = children(client, found)["teacher"]
        assert curve(client, teacher, "train_loss") == [(1, 0.6)]  # as it was watched
        assert curve(client, teacher, "auc") == [(201307, 0.703), (201308, 0.702)]
        assert {file.path for file in client.list_artifacts(run.run_id, "reports")} >= {"reports/evaluation.json"}
        plots = [file.path for file in client.list_artifacts(run.run_id, "plots")]
        assert plots == ["plots/auc_by_month.png", "plots/calibration.png", "plots/training.json"]


def test_every_model_is_a_child_with_its_own_parameters_and_months_as_steps(
    project: Path, params: dict[str, Any]
) -> None:
    package_candidate(project, params)
    with connected(Workspace(project)) as client:
        parent = client.get_run(_provenance(project)["mlflow_run_id"])
        models = children(client, parent)
        assert set(models) == {"teacher", "student", "control", "lightgbm", "logistic_regression"}
        for name, auc in {"student": 0.70, "control": 0.69, "lightgbm": 0.72, "logistic_regression": 0.65}.items():
            assert curve(client, models[name], "auc") == [(201307, auc - 0.007), (201308, auc - 0.008)]
            assert curve(client, models[name], "ece") == [(201307, 0.02), (201308, 0.02)]
    student, lightgbm = models["student"].data, models["lightgbm"].data
    assert student.metrics["validation.auc"] == 0.70
    assert student.metrics["bytes"] == 123
    assert student.params["compress.prune"] == str(params["compress"]["prune"])
    assert "train.hidden" not in student.params
    assert not [name for name in lightgbm.params if name.startswith("compress.")]
    assert all(run.info.status == "FINISHED" for run in models.values())
    # The training's own figures are the released model's, as the manifest has them, and nothing else.
    assert (
        parent.data.metrics == verify(project / "artifacts/candidate", project / "secrets/signing.pub").manifest.metrics
    )
    assert parent.data.params["train.hidden"] == str(params["train"]["hidden"])


def test_packaged_again_no_point_is_told_twice_and_other_reports_replace_the_children(
    project: Path, params: dict[str, Any]
) -> None:
    package_candidate(project, params)
    run_id = _provenance(project)["mlflow_run_id"]
    with connected(Workspace(project)) as client:
        before = children(client, client.get_run(run_id))
    package_candidate(project, params)
    report = json.loads((project / "reports/evaluation.json").read_bytes())
    with connected(Workspace(project)) as client:
        again = children(client, client.get_run(run_id))
        assert {run.info.run_id for run in again.values()} == {run.info.run_id for run in before.values()}
        assert len(curve(client, again["teacher"], "auc")) == 2
        assert len(curve(client, again["teacher"], "train_loss")) == 2
    report["baselines"]["lightgbm"]["months"][0]["auc"] = 0.5
    (project / "reports/evaluation.json").write_text(json.dumps(report))
    package_candidate(project, params)
    with connected(Workspace(project)) as client:
        other = children(client, client.get_run(run_id))
        assert curve(client, other["lightgbm"], "auc")[0] == (201307, 0.5)
        assert curve(client, other["teacher"], "train_loss") == [(1, 1.0), (2, 0.5)]


def test_lost_run_is_logged_anew_from_the_reports(project: Path, params: dict[str, Any]) -> None:
    package_candidate(project, params)
    with connected(Workspace(project)) as client:
        run = client.get_run(_provenance(project)["mlflow_run_id"])
        teacher = children(client, run)["teacher"]
        assert curve(client, teacher, "train_loss") == [(1, 1.0), (2, 0.5)]
    assert teacher.data.metrics["validation.auc"] == 0.71
    assert teacher.data.metrics["epochs"] == 2
    assert run.data.params["train.epochs"] == str(params["train"]["epochs"])
    assert run.info.status == "FINISHED"


def test_same_weights_with_other_parameters_are_another_run(project: Path, params: dict[str, Any]) -> None:
    package_candidate(project, params)
    first = _provenance(project)["mlflow_run_id"]
    other = params | {"compress": params["compress"] | {"prune": 0.5}}
    package_candidate(project, other)
    second = _provenance(project)["mlflow_run_id"]
    assert first != second
    package_candidate(project, params)
    assert _provenance(project)["mlflow_run_id"] == first


def test_candidate_is_replaced_whole_or_not_at_all(project: Path, params: dict[str, Any]) -> None:
    package_candidate(project, params)
    before = _provenance(project)
    (project / "artifacts/compress/student.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactInvalid, match=r"`model\.onnx` must be valid ONNX, got"):
        package_candidate(project, params)
    assert _provenance(project) == before
    assert {path.name for path in (project / "artifacts").glob(".*")} == set()


def test_leftover_of_a_killed_run_does_not_get_in(project: Path, params: dict[str, Any]) -> None:
    leftover = project / "artifacts/.candidate.new"
    leftover.mkdir()
    (leftover / "torn").touch()
    package_candidate(project, params)
    assert {path.name for path in (project / "artifacts/candidate").iterdir()} == {
        "manifest.json",
        "model.onnx",
        "model.sig",
        "provenance.json",
        "reference.npz",
        "scorer.onnx",
    }


def test_the_digest_is_of_the_content_alone(tmp_path: Path, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another day, commit and run leave it; another bound of the schema does not."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Later":
            return cls(2030, 1, 1, tzinfo=tz)

    content, keys = tiny_content(graph().SerializeToString()), signing_keys(tmp_path / "secrets")
    first = write_artifact(tmp_path / "first", content, NOWHERE, keys)
    monkeypatch.setattr("registry.artifact_writer.datetime", Later)
    origin = Origin(Git("c" * 40, dirty=True), "another run", {"flights": "2f" * 32}, {"train": {"epochs": 1}})
    second = write_artifact(tmp_path / "second", content, origin, keys)
    assert first.digest == second.digest
    assert second.provenance.created_at == "2030-01-01T00:00:00+00:00" != first.provenance.created_at
    for name in CONTENT:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    distance = SCHEMA.numeric_names.index("distance")
    numeric = list(SCHEMA.numeric)
    numeric[distance] = msgspec.structs.replace(numeric[distance], high=numeric[distance].high + 1)
    wider = replace(content, schema=msgspec.structs.replace(SCHEMA, numeric=tuple(numeric)))
    assert write_artifact(tmp_path / "third", wider, NOWHERE, keys).digest != first.digest


def test_external_data_is_refused_wherever_it_hides(tmp_path: Path, graph: Graph) -> None:
    outside = helper.make_tensor("outside", TensorProto.FLOAT, [1], [1.0])
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    in_graph = graph()
    in_graph.graph.initializer.append(outside)
    in_node = graph()
    in_node.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=outside))
    in_branch = graph()
    branch = helper.make_graph([], "branch", [], [], [outside])
    in_branch.graph.node.insert(0, helper.make_node("If", ["c"], ["unused"], then_branch=branch, else_branch=branch))
    for model in (in_graph, in_node, in_branch):
        with pytest.raises(ArtifactInvalid, match=r"got external data for \['outside'"):
            _write(tmp_path, model)


def test_other_tensors_than_the_contract_are_refused(tmp_path: Path, graph: Graph) -> None:
    for model in (graph(width=len(SCHEMA.numeric) - 1), graph(output="score")):
        with pytest.raises(ArtifactInvalid, match="must be a graph with the tensors"):
            _write(tmp_path, model)


def test_keys_that_are_no_pair_are_refused(tmp_path: Path, graph: Graph) -> None:
    signing_keys(tmp_path / "secrets")
    foreign = signing_keys(tmp_path / "foreign")
    (tmp_path / "secrets/signing.pub").write_bytes(foreign.public.read_bytes())
    with pytest.raises(ArtifactInvalid, match="must be signed by the key"):
        _write(tmp_path, graph())
    assert not (tmp_path / "artifact").exists()


def test_reference_that_is_no_sample_of_the_contract_is_refused(project: Path, params: dict[str, Any]) -> None:
    (project / "artifacts/compress/reference.npz").write_bytes(b"no sample")
    with pytest.raises(ArtifactInvalid, match="the reference sample must hold rows of the schema"):
        package_candidate(project, params)
    assert not (project / "artifacts/candidate").exists()


def test_artifact_can_be_read_by_others_and_its_key_cannot(tmp_path: Path, graph: Graph) -> None:
    _write(tmp_path, graph())
    assert stat.S_IMODE((tmp_path / "secrets/signing.key").stat().st_mode) == 0o600
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o044 for path in (tmp_path / "artifact").iterdir())


def _write(folder: Path, model: onnx.ModelProto) -> None:
    content = tiny_content(model.SerializeToString())
    write_artifact(folder / "artifact", content, NOWHERE, signing_keys(folder / "secrets"))


def _provenance(project: Path) -> dict[str, str]:
    provenance: dict[str, str] = json.loads((project / "artifacts/candidate/provenance.json").read_bytes())
    return provenance
