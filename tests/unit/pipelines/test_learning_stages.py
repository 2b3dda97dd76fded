"""Stages train, compress and evaluate on a small made world, through their front door."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from contracts.artifact import sha256
from contracts.errors import DataError, ParameterError
from contracts.features import CATEGORY_NAMES, NUMERIC_NAMES
from contracts.files import write_json
from contracts.params import Ingest, Params, Train
from contracts.tables import FEATURE_TABLE
from contracts.workspace import Workspace
from models.export import to_onnx
from models.score import score
from monitoring.statistics.quality import Interval
from pipelines import checkpoint, parquet
from pipelines.dataset import read_flights, split
from pipelines.stages import compress, evaluate, train
from pipelines.stages.compress import MAX_BYTES, decide
from registry import tracking
from registry.connection import connected
from tasks.flights.schema import SCHEMA
from tests.support.learned import PARAMS, world
from tests.support.runs import children, curve

TRAIN = Train(
    seed=0,
    hidden=[32, 32],
    bins=8,
    bin_width=4,
    dropout=0.2,
    learning_rate=0.003,
    weight_decay=1e-3,
    batch_size=128,
    epochs=3,
)
GOOD = Params(
    as_of=date(2013, 7, 1),
    ingest=Ingest(keep_every=1),
    train=TRAIN,
    compress=PARAMS.model_copy(update={"max_auc_loss": 0.05}),
)
HOPELESS = GOOD.model_copy(
    update={
        "compress": GOOD.compress.model_copy(update={"epochs": 1, "finetune_epochs": 0, "learning_rate": 1e-9}),
    }
)


def _write_features(root: Path, rows: int) -> None:
    """Flights from March to August 2013, two in a hundred of them cancelled."""
    made = world(rows, seed=1)
    begin, end = np.datetime64("2013-03-01T06:00", "us"), np.datetime64("2013-08-31T20:00", "us")
    scheduled = begin + (end - begin) // rows * np.arange(rows)
    flown = np.random.default_rng(0).random(rows) > 0.02
    keys = {
        "flight_id": [f"flight {i:05}" for i in range(rows)],
        "local_month": (scheduled - np.timedelta64(4, "h")).astype("datetime64[M]").astype(str).tolist(),
        "scheduled_departure": scheduled,
        "predicted_at": scheduled - np.timedelta64(2, "h"),
        "landed": pa.array(scheduled + np.timedelta64(3, "h"), mask=~flown),
        "late": pa.array(made.late.astype(bool), mask=~flown),
    }
    numbers = {
        name: pa.array(column, mask=np.isnan(column))
        for name, column in zip(NUMERIC_NAMES, made.numeric.T, strict=True)
    }
    names = dict(zip(CATEGORY_NAMES, made.category.T.tolist(), strict=True))
    parquet.write(
        root / "data/features.parquet", pa.table(keys | numbers | names, schema=parquet.schema(FEATURE_TABLE))
    )
    write_json(root / "reports/ingest.json", {"source_sha256": {"made.csv": "0" * 64}})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where all three stages ran."""
    folder = tmp_path_factory.mktemp("stages")
    _write_features(folder, 4000)
    train.main(folder, GOOD)
    compress.main(folder, GOOD)
    evaluate.main(folder, GOOD)
    return folder


def _report(root: Path, name: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((root / f"reports/{name}.json").read_text())
    return report


def test_training_tells_its_choice(root: Path) -> None:
    report = _report(root, "training")
    aucs = [epoch["validation_auc"] for epoch in report["history"]]
    assert len(aucs) == TRAIN.epochs
    assert report["epochs"] == int(np.argmax(aucs)) + 1
    assert len(report["refit_history"]) == report["epochs"]
    assert report["validation"]["auc"] == pytest.approx(max(aucs), abs=1e-9)
    parts = split(read_flights(root), GOOD.as_of)
    assert report["flights"]["refit"] == len(parts.refit)
    assert parts.refit.landed.max() < np.datetime64("2013-07-01T04:00")
    assert json.loads((root / "reports/plots/training.json").read_text()) == report["history"]


def test_training_is_tracked_by_its_weights(root: Path) -> None:
    workspace = Workspace(root)
    with connected(workspace) as client:
        found = tracking.find_run(client, workspace, SCHEMA, GOOD.model_dump(mode="json"))
        run = client.get_run(str(found))
        points = curve(client, children(client, run)["teacher"], "validation_auc")
    assert run.data.tags[tracking.WEIGHTS] == sha256((root / "artifacts/train/final.safetensors").read_bytes())
    assert [step for step, _ in points] == [1, 2, 3]


def test_the_student_is_released_when_it_keeps_up(root: Path) -> None:
    report = _report(root, "compression")
    assert report["released"] == "student"
    assert report["limits"] == {"max_auc_loss": 0.05, "max_bytes": MAX_BYTES["student"]}
    loss = report["auc_loss"]
    assert loss["low"] <= loss["difference"] <= loss["high"]
    assert report["teacher"]["auc"] - report["student"]["auc"] == pytest.approx(loss["difference"], abs=1e-9)
    for name in ("teacher", "student", "twin"):
        assert report[name]["bytes"] == (root / f"artifacts/compress/{name}.onnx").stat().st_size
    assert [step["step"] for step in report["steps"]["student"]] == ["trained", "pruned", "fine-tuned", "int8"]


def test_the_choice_rests_on_networks_that_did_not_see_the_validation_month(root: Path) -> None:
    """The teacher of the report is the one of the first phase, scored on June."""
    network, vocabulary = checkpoint.load(root / "artifacts/train", "selection")
    validation = split(read_flights(root), GOOD.as_of).validation
    probability = score(to_onnx(network, vocabulary), validation.numeric, validation.category)
    auc = roc_auc_score(validation.late, probability)
    assert _report(root, "compression")["teacher"]["auc"] == pytest.approx(auc, abs=1e-9)


def test_evaluation_has_its_shape_and_scores_the_released_files(root: Path) -> None:
    report = _report(root, "evaluation")
    later = split(read_flights(root), GOOD.as_of).later
    assert [month["month"] for month in report["months"]] == ["2013-07", "2013-08"]
    assert set(report["months"][0]) == {"month", "rows", "positive_share", "auc", "log_loss", "brier", "ece"}
    assert set(report["baselines"]) == {"lightgbm", "logistic_regression"}
    assert report["months"] == report["student"]["months"]
    assert sum(month["rows"] for month in report["months"]) == later.labelled.sum()
    assert sum(report["unlabelled"].values()) == (~later.labelled).sum() > 0
    july = later.where(later.labelled & (later.month == "2013-07"))
    served = score((root / "artifacts/compress/student.onnx").read_bytes(), july.numeric, july.category)
    assert report["months"][0]["auc"] == pytest.approx(roc_auc_score(july.late, served), abs=1e-9)
    for model in (report, report["teacher"], *report["baselines"].values()):
        assert min(month["auc"] for month in model["months"]) > 0.7  # the laws reach about .80
    for picture in ("auc_by_month", "calibration"):
        assert (root / f"reports/plots/{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_compress_and_evaluate_repeat_to_the_bit(root: Path, tmp_path: Path) -> None:
    again = _copy(root, tmp_path / "else" / "where")
    compress.main(again, GOOD)
    evaluate.main(again, GOOD)
    written = [
        *(path.relative_to(root) for path in sorted((root / "artifacts/compress").iterdir())),
        *(Path(f"reports/{name}") for name in ("compression.json", "evaluation.json", "plots/months.json")),
        *(Path(f"reports/plots/{name}.png") for name in ("auc_by_month", "calibration")),
    ]
    assert [path for path in written if (root / path).read_bytes() != (again / path).read_bytes()] == []


def test_a_hopeless_student_is_not_released(root: Path, tmp_path: Path) -> None:
    again = _copy(root, tmp_path / "again")
    compress.main(again, HOPELESS)
    report = _report(again, "compression")
    assert report["released"] == "teacher"
    assert "more than the 0.05 allowed" in report["reason"]
    assert report["limits"]["max_bytes"] == MAX_BYTES["teacher"]
    evaluate.main(again, HOPELESS)
    evaluation = _report(again, "evaluation")
    assert evaluation["released"] == "teacher"
    assert evaluation["months"] == evaluation["teacher"]["months"] != evaluation["student"]["months"]


@pytest.mark.parametrize(
    ("loss", "size", "released"),
    [
        (0.0019, 40_000, "student"),
        (0.002, 40_000, "student"),
        (-0.01, 40_000, "student"),
        (0.0021, 40_000, "teacher"),
        (0.0, MAX_BYTES["student"] + 1, "teacher"),
    ],
)
def test_what_is_released(loss: float, size: int, released: str) -> None:
    assert decide(Interval(loss - 0.002, loss, loss + 0.002), size, 0.002)[0] == released


def test_damaged_inputs_are_named(root: Path, tmp_path: Path) -> None:
    again = _copy(root, tmp_path / "again")
    (again / "artifacts/train/final.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"final.*dvc repro"):
        checkpoint.load(again / "artifacts/train", "final")
    (again / "reports/compression.json").write_text("{}")
    with pytest.raises(DataError, match=r"compression\.json.*dvc repro"):
        evaluate.main(again, GOOD)
    with pytest.raises(ParameterError, match="`as_of` must leave labelled flights after it"):
        evaluate.main(root, GOOD.model_copy(update={"as_of": date(2013, 9, 1)}))


def _copy(root: Path, to: Path) -> Path:
    shutil.copytree(root, to, ignore=shutil.ignore_patterns("mlflow.db"))
    return to
