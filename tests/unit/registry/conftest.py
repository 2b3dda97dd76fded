"""A project folder as it is when `evaluate` has ended, with a tiny real graph as the model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from contracts.workspace import Workspace
from pipelines.params_yaml import read_params
from tasks.flights.schema import SCHEMA
from tests.support.tiny import tiny_reference, tiny_scorer


def make_graph(width: int = len(SCHEMA.numeric), output: str = "probability") -> onnx.ModelProto:
    """sigmoid(numeric @ weights), which nobody would release."""
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [width], [0.01] * width)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["numeric", "weights"], ["sum"]),
            helper.make_node("Sigmoid", ["sum"], [output]),
        ],
        "tiny",
        [
            helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["n", width]),
            helper.make_tensor_value_info("category", TensorProto.STRING, ["n", len(SCHEMA.category)]),
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n"])],
        [weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


@pytest.fixture(scope="session")
def graph() -> Callable[..., onnx.ModelProto]:
    return make_graph


@pytest.fixture(scope="session")
def params() -> dict[str, Any]:
    return read_params(Path(__file__).parents[3] / "params.yaml")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """MLflow's tables, made once: that takes 1.5 s, a copy nothing."""
    from registry.connection import connected

    root = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with connected(Workspace(root)) as client:
            client.search_experiments()
    return (root / "artifacts/mlflow.db").read_bytes()


@pytest.fixture(scope="session")
def make_project(empty_database: bytes) -> Callable[[Path], Path]:
    """Make reports, weights and graphs of a project in a folder; its MLflow knows no run yet."""

    def make(root: Path) -> Path:
        for name, value in make_reports().items():
            path = root / f"reports/{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value))
        for folder in ("data", "artifacts/train", "artifacts/compress"):
            (root / folder).mkdir(parents=True)
        for name, content in {
            "reports/plots/auc_by_month.png": b"\x89PNG",
            "reports/plots/calibration.png": b"\x89PNG",
            "data/features.parquet": b"rows",
            "artifacts/mlflow.db": empty_database,
            "artifacts/train/final.safetensors": b"weights",
            "artifacts/train/final.json": json.dumps({"vocabulary": [["AA", "UA"], ["JFK"], ["LAX"]]}).encode(),
            "artifacts/compress/reference.npz": tiny_reference(),
            "artifacts/compress/scorer.onnx": tiny_scorer(),
            "artifacts/compress/student.onnx": make_graph().SerializeToString(),
        }.items():
            (root / name).write_bytes(content)
        return root

    return make


def make_reports() -> dict[str, Any]:
    """Name -> content, with two months after training."""
    measured = {"rows": 10, "positive_share": 0.2, "auc": 0.7, "log_loss": 0.5, "brier": 0.1, "ece": 0.02}
    interval = {"low": -0.1, "difference": 0.0, "high": 0.1}

    def later(auc: float) -> dict[str, Any]:
        months = [{"month": f"2013-{month:02d}"} | measured | {"auc": auc - month / 1000} for month in (7, 8)]
        return {"months": months, "mean_auc": auc}

    networks = {"teacher": 0.71, "student": 0.70, "control": 0.69}
    size = {"auc_low": 0.6, "bytes": 123, "parameters": 31}
    scorer = {"bytes": 99, "trees": 60, "auc": 0.69, "log_loss": 0.51, "days": 30}
    scorer |= {"paired_loss": -0.01, "paired_loss_day_sd": 0.02}
    loss = {"train_loss": 1.0, "validation_log_loss": 0.5, "validation_auc": 0.7}
    history = [{"epoch": epoch} | loss | {"train_loss": 1 / epoch} for epoch in (1, 2)]
    parts = dict.fromkeys(("fit", "validation", "refit", "later", "later_unlabelled"), 10)
    general = {"format": 1, "as_of": "2013-07-01"}
    return {
        "ingest": {"format": 1, "keep_every": 1, "source_sha256": {"flights.csv.zip": "1f" * 32}, "tables": {}},
        "validation": {},
        "features": {},
        "training": general
        | {"epochs": 2, "parameters": 31, "validation": measured | {"auc": 0.71}, "rows": parts}
        | {"history": history, "refit_history": []},
        "compression": general
        | {"format": 2, "scorer": scorer}
        | {"released": "student", "reason": "The student loses 0.0100 AUC (95 % interval -0.1 to 0.1)."}
        | {"limits": {"max_auc_loss": 0.1, "max_bytes": 1000}, "steps": {"student": [], "control": []}}
        | {"auc_loss": interval, "auc_gain_over_control": interval}
        | {name: measured | {"auc": auc} | size for name, auc in networks.items()},
        "evaluation": general
        | {"released": "student", **later(0.7), "unlabelled": {}, "auc_differences": {}}
        | {name: later(auc) for name, auc in networks.items()}
        | {"baselines": {"lightgbm": later(0.72), "logistic_regression": later(0.65)}},
        "plots/training": history,
    }


@pytest.fixture
def project(tmp_path: Path, make_project: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the test's own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return make_project(tmp_path)
