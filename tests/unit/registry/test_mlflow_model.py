"""The registered version, as users of MLflow load it: by pyfunc from a data frame, as ONNX, over HTTP, after a move."""

import json
import os
import pickletools
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from contracts.artifact import verify
from contracts.reference import unpack
from contracts.workspace import Workspace
from registry.connection import connected
from registry.release import release
from tasks.flights.schema import SCHEMA
from tests.support.runs import package_candidate
from tests.support.serving import free_ports
from tests.support.tiny import tiny_model

CHAMPION = "models:/flight-delay@champion"
SCORING = Path(__file__).parents[3] / "registry/mlflow_model/scoring.py"
DEADLINE = 60  # s


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, make_project: Any, params: dict[str, Any]) -> Workspace:
    """A released graph that looks at every feature. Look, do not touch."""
    root = make_project(tmp_path_factory.mktemp("project"))
    (root / "artifacts/compress/student.onnx").write_bytes(tiny_model())
    package_candidate(root, params)
    release(Workspace(root))
    return Workspace(root)


@pytest.fixture(scope="module")
def rows(workspace: Workspace) -> pd.DataFrame:
    """The artifact's own reference sample, with a hole in each column that may have one."""
    artifact = champion(workspace)
    sample = unpack(artifact.reference, SCHEMA)
    frame = pd.DataFrame(sample.numeric.astype(np.float64), columns=list(SCHEMA.numeric_names))
    for row, feature in enumerate(SCHEMA.numeric):
        if feature.nullable:
            frame.loc[row, feature.name] = np.nan
    frame[list(SCHEMA.category_names)] = sample.category
    frame.loc[0, "carrier"] = None
    return frame


def test_pyfunc_gives_the_service_s_scores(workspace: Workspace, rows: pd.DataFrame) -> None:
    expected = scores(workspace, rows)
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(predict(workspace, rows), expected)
    shuffled = rows[list(reversed(rows.columns))]
    np.testing.assert_array_equal(predict(workspace, shuffled), expected)
    unknown_age = scores(workspace, rows.assign(plane_age=np.nan))
    np.testing.assert_array_equal(predict(workspace, rows.drop(columns=["plane_age"])), unknown_age)


def test_pyfunc_refuses_what_the_service_refuses(workspace: Workspace, rows: pd.DataFrame) -> None:
    for frame, message in (
        (rows.assign(distance=-1.0), r"`distance` must be between 1 and 12000 \(miles\), got -1 in row 0"),
        (rows.assign(distance=np.nan), "`distance` must be between .* got nan in row 0"),
        (rows.drop(columns=["distance"]), "missing inputs"),
    ):
        with pytest.raises(AssertionError, match=message):
            predict(workspace, frame)


def test_onnx_flavour_loads_the_very_graph(workspace: Workspace) -> None:
    code = f"import sys, mlflow.onnx; sys.stdout.buffer.write(mlflow.onnx.load_model('{CHAMPION}').SerializeToString())"
    assert run(workspace, code) == champion(workspace).model


def test_version_explains_itself(workspace: Workspace) -> None:
    artifact = champion(workspace)
    folder = downloaded(workspace)
    about = (folder / "MLmodel").read_text()
    assert str(workspace.root) not in about
    assert (folder / "scoring.py").read_bytes() == SCORING.read_bytes()
    assert f"onnxruntime=={onnxruntime.__version__}" in (folder / "requirements.txt").read_text()
    assert all("==" in line for line in (folder / "requirements.txt").read_text().splitlines())
    example = json.loads((folder / "input_example.json").read_bytes())
    assert example["columns"] == list(SCHEMA.names)
    with connected(workspace) as client:
        version = client.get_model_version_by_alias("flight-delay", "champion")
        model = client.get_registered_model("flight-delay")
        assert SCHEMA.target.question in str(model.description)
        for text in (str(version.description), str(model.description)):
            assert "The student loses 0.0100 AUC (95 % interval -0.1 to 0.1)." in text
            assert "| 2013-07 | 0.693 |" in text
            assert f"{len(artifact.model):,} bytes" in text


def test_no_pickle_is_written_anywhere(workspace: Workspace) -> None:
    files = [path for path in workspace.mlflow_artifacts.rglob("*") if path.is_file()]
    assert len(files) > 15
    for path in files:
        assert path.suffix not in (".pkl", ".pickle", ".joblib")
        assert not is_pickle(path.read_bytes()), path
    assert "pickle" not in (downloaded(workspace) / "MLmodel").read_text()


def test_served_by_mlflow_it_answers(workspace: Workspace, rows: pd.DataFrame) -> None:
    body = json.dumps({"dataframe_split": json.loads(rows.to_json(orient="split", double_precision=15))}).encode()
    command = ["models", "serve", "-m", CHAMPION, "--env-manager", "local"]
    with mlflow_server(workspace, *command) as address:
        answer = fetch(f"{address}/invocations", body)
    found = np.array(json.loads(answer)["predictions"], np.float32)
    np.testing.assert_array_equal(found, scores(workspace, rows))


def test_pictures_of_the_description_are_answered_by_the_server(workspace: Workspace) -> None:
    with connected(workspace) as client:
        text = str(client.get_model_version_by_alias("flight-delay", "champion").description)
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(links) == 2
    command = ["server", "--backend-store-uri", database(workspace), "--workers", "1"]
    with mlflow_server(workspace, *command) as address:
        for link in links:
            assert fetch(f"{address}/{link}").startswith(b"\x89PNG")


def test_a_moved_checkout_goes_on(
    make_project: Any, params: dict[str, Any], tmp_path: Path, rows: pd.DataFrame
) -> None:
    before = Workspace(make_project(tmp_path / "before"))
    package_candidate(before.root, params)
    digest = release(before)
    after = Workspace(before.root.rename(tmp_path / "it's elsewhere"))
    assert release(after) == digest
    whole = rows.bfill()
    np.testing.assert_array_equal(predict(after, whole), scores(after, whole))
    (after.root / "artifacts/compress/student.onnx").write_bytes(tiny_model())
    (after.root / "artifacts/train/final.safetensors").write_bytes(b"other weights")
    package_candidate(after.root, params)
    assert release(after) != digest
    np.testing.assert_array_equal(predict(after, rows), scores(after, rows))
    assert not before.root.exists()
    with connected(after) as client:
        runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
        assert all(run.info.artifact_uri.startswith(after.mlflow_artifacts.as_uri()) for run in runs)
        assert len(client.search_model_versions("name = 'flight-delay'")) == 2


def champion(workspace: Workspace) -> Any:
    digest = (workspace.store / "champion").read_text()
    return verify(workspace.store / digest, workspace.public_key, digest)


def scores(workspace: Workspace, rows: pd.DataFrame) -> Any:
    """As the service computes them: float32, "" for a missing category, one thread."""
    numeric = rows[list(SCHEMA.numeric_names)].to_numpy(np.float32)
    category = rows[list(SCHEMA.category_names)].astype(object).fillna("").to_numpy()
    session = onnxruntime.InferenceSession(champion(workspace).model, providers=["CPUExecutionProvider"])
    return session.run(["probability"], {"numeric": numeric, "category": category})[0]


def database(workspace: Workspace) -> str:
    return f"sqlite:///{workspace.mlflow_database}"


def environment(workspace: Workspace) -> dict[str, str]:
    """A process of somebody who has MLflow and knows the database, and nothing of the project."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    uri = database(workspace)
    mlflow = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_REGISTRY_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    return kept | mlflow | {"PATH": path}


def run(workspace: Workspace, code: str, data: bytes = b"") -> bytes:
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, input=data, capture_output=True, cwd=workspace.root, env=environment(workspace), timeout=DEADLINE
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def predict(workspace: Workspace, rows: pd.DataFrame) -> Any:
    code = f"""
import io, json, sys
import mlflow.pyfunc, numpy, pandas
columns = json.load(sys.stdin)
rows = pandas.DataFrame({{name: pandas.Series(values, dtype=kind) for name, (kind, values) in columns.items()}})
scores = mlflow.pyfunc.load_model("{CHAMPION}").predict(rows)
assert scores.dtype == numpy.float32
sys.stdout.buffer.write(scores.tobytes())
"""
    columns = {
        str(name): (str(column.dtype), [None if pd.isna(value) else value for value in column.tolist()])
        for name, column in rows.items()
    }
    return np.frombuffer(run(workspace, code, json.dumps(columns).encode()), np.float32)


def downloaded(workspace: Workspace) -> Path:
    with connected(workspace) as client:
        version = client.get_model_version_by_alias("flight-delay", "champion")
        return Path(client.download_artifacts(str(version.run_id), version.tags["digest"][:12]))


def is_pickle(content: bytes) -> bool:
    """Whether the bytes are a program for the unpickler, from PROTO to STOP."""
    if not content.startswith(b"\x80"):
        return False
    try:
        return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(content))
    except ValueError:
        return False


@contextmanager
def mlflow_server(workspace: Workspace, *command: str) -> Iterator[str]:
    """An `mlflow` command that listens, as soon as it answers."""
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    with (workspace.root / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=workspace.root,
            env=environment(workspace),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + DEADLINE
        while True:
            try:
                fetch(f"{address}/health")
                break
            except OSError:
                assert process.poll() is None, (workspace.root / "mlflow.log").read_text()
                assert time.monotonic() < until, (workspace.root / "mlflow.log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(DEADLINE)


def fetch(address: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error
    return content
