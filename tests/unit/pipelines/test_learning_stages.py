"""Stages train, compress and evaluate on a small made world, through their front door."""

import json
import shutil
from dataclasses import asdict
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from contracts.artifact import sha256
from contracts.errors import DataError, ParameterError
from contracts.objectives import Objectives
from contracts.reports import read_report, write_report
from contracts.reports.compression import CompressionReport, Limits, ModelReport
from contracts.reports.evaluation import EvaluationReport
from contracts.reports.ingest import IngestReport
from contracts.reports.quality import Interval
from contracts.reports.training import TrainingReport
from contracts.tables import feature_table
from contracts.workspace import Workspace
from models.export import to_onnx
from models.preprocess import fit_vocabulary
from models.score import score
from models.train import Probability
from models.tree_graph import trees_to_onnx
from monitoring.scorer.trees import LEAST_ROUNDS, MOST_ROUNDS, Rows, grow, probabilities
from monitoring.statistics.expectation import from_metrics
from monitoring.statistics.quality import log_loss
from pipelines import checkpoint, parquet
from pipelines.dataset import Split, read_dataset, split
from pipelines.reference_scorer import make_reference_scorer
from pipelines.stages import compress, evaluate, train
from pipelines.stages.compress import decide
from registry import tracking
from registry.connection import connected
from tasks.flights.schema import SCHEMA
from tests.support.learned import COPIES, SETTINGS, world
from tests.support.runs import children, curve

AS_OF = date(2013, 7, 1)
TRAIN = train.Parameters(
    hidden=[32, 32],
    bins=8,
    bin_width=4,
    dropout=0.2,
    learning_rate=0.003,
    weight_decay=1e-3,
    batch_size=128,
    epochs=3,
)
GOOD = compress.Parameters(
    **asdict(SETTINGS) | {"hidden": list(SETTINGS.hidden)},
    noise_copies=COPIES,
    calibration_rows=1000,
    max_auc_loss=0.05,
)
HOPELESS = GOOD.model_copy(update={"epochs": 1, "finetune_epochs": 0, "learning_rate": 1e-9})
OBJECTIVES = Objectives()
LIMITS = Limits(0.002, OBJECTIVES.student_bytes)
RECORD = {"as_of": "2013-07-01", "train": TRAIN.model_dump()}  # for MLflow


def _compress(root: Path, parameters: compress.Parameters = GOOD) -> None:
    compress.main(Workspace(root), task="flights", as_of=AS_OF, seed=0, parameters=parameters)


def _evaluate(root: Path, as_of: date = AS_OF) -> None:
    evaluate.main(Workspace(root), task="flights", as_of=as_of, seed=0)


def _write_features(root: Path, rows: int) -> None:
    """Flights from March to August 2013, two in a hundred of them cancelled."""
    made = world(rows, seed=1)
    begin, end = np.datetime64("2013-03-01T06:00", "us"), np.datetime64("2013-08-31T20:00", "us")
    about = begin + (end - begin) // rows * np.arange(rows)
    flown = np.random.default_rng(0).random(rows) > 0.02
    keys = {
        "row_id": [f"flight {i:05}" for i in range(rows)],
        "month": (about - np.timedelta64(4, "h")).astype("datetime64[M]").astype(str).tolist(),
        "predicted_at": about - np.timedelta64(2, "h"),
        "outcome_at": pa.array(about + np.timedelta64(3, "h"), mask=~flown),
        "label": pa.array(made.label.astype(bool), mask=~flown),
    }
    numbers = {
        name: pa.array(column, mask=np.isnan(column))
        for name, column in zip(SCHEMA.numeric_names, made.numeric.T, strict=True)
    }
    names = dict(zip(SCHEMA.category_names, made.category.T.tolist(), strict=True))
    columns = parquet.schema(feature_table(SCHEMA).columns)
    parquet.write(Workspace(root).features, pa.table(keys | numbers | names, schema=columns))
    write_report(Workspace(root).report("ingest"), IngestReport(1, 1, {"made.csv": "0" * 64}, {}))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where all three stages ran."""
    folder = tmp_path_factory.mktemp("stages")
    _write_features(folder, 4000)
    train.main(Workspace(folder), task="flights", as_of=AS_OF, seed=0, parameters=TRAIN, params=RECORD)
    _compress(folder)
    _evaluate(folder)
    return folder


def _training(root: Path) -> TrainingReport:
    return read_report(Workspace(root).report("training"), TrainingReport)


def _compression(root: Path) -> CompressionReport:
    return read_report(Workspace(root).report("compression"), CompressionReport)


def _evaluation(root: Path) -> EvaluationReport:
    return read_report(Workspace(root).report("evaluation"), EvaluationReport)


def _parts(root: Path) -> Split:
    return split(read_dataset(Workspace(root), SCHEMA), AS_OF, SCHEMA)


def roc(model: ModelReport) -> float:
    assert model.auc is not None
    return model.auc


def test_training_tells_its_choice(root: Path) -> None:
    report = _training(root)
    aucs = [epoch.validation_auc for epoch in report.history]
    assert len(aucs) == TRAIN.epochs
    assert report.epochs == int(np.argmax(np.array(aucs, float))) + 1
    assert len(report.refit_history) == report.epochs
    assert report.validation.auc == pytest.approx(np.array(aucs, float).max(), abs=1e-9)
    parts = _parts(root)
    assert report.rows.refit == len(parts.refit)
    assert parts.refit.outcome_at.max() < np.datetime64("2013-07-01T04:00")
    assert json.loads((root / "reports/plots/training.json").read_text()) == msgspec.to_builtins(report.history)


def test_training_is_tracked_by_its_weights(root: Path) -> None:
    workspace = Workspace(root)
    with connected(workspace) as client:
        run = client.get_run(str(tracking.find_run(client, workspace, SCHEMA, RECORD)))
        points = curve(client, children(client, run)["teacher"], "validation_auc")
    assert run.data.tags[tracking.WEIGHTS] == sha256((root / "artifacts/train/final.safetensors").read_bytes())
    assert [step for step, _ in points] == [1, 2, 3]


def test_the_student_is_released_when_it_keeps_up(root: Path) -> None:
    report = _compression(root)
    assert report.released == "student"
    assert report.limits == Limits(0.05, OBJECTIVES.student_bytes)
    loss = report.auc_loss
    assert loss.low <= loss.difference <= loss.high
    assert roc(report.teacher) - roc(report.student) == pytest.approx(loss.difference, abs=1e-9)
    for name in ("teacher", "student", "control"):
        assert getattr(report, name).bytes == (root / f"artifacts/compress/{name}.onnx").stat().st_size
    assert [step.step for step in report.steps.student] == ["trained", "pruned", "fine-tuned", "int8"]


def test_the_choice_rests_on_networks_that_did_not_see_the_validation_month(root: Path) -> None:
    """The teacher of the report is the one of the first phase, scored on June."""
    network, vocabulary = checkpoint.load(root / "artifacts/train", "selection")
    validation = _parts(root).validation
    probability = score(to_onnx(network, vocabulary), validation.numeric, validation.category)
    auc = roc_auc_score(validation.label, probability)
    assert _compression(root).teacher.auc == pytest.approx(auc, abs=1e-9)


def test_the_reference_scorer_is_chosen_on_the_validation_month_and_grown_on_all_before_as_of(root: Path) -> None:
    parts, report = _parts(root), _compression(root).scorer
    words = fit_vocabulary(parts.refit.category)
    rows = Rows(parts.refit.numeric, parts.refit.codes(words), parts.refit.label)
    graph = (root / "artifacts/compress/scorer.onnx").read_bytes()
    trees = grow(rows, report.trees)
    assert graph == trees_to_onnx(trees.dump_model(), len(SCHEMA.numeric), words)
    assert report.bytes == len(graph) < 250_000
    later = parts.later
    own = probabilities(trees, later.numeric, later.codes(words))
    np.testing.assert_allclose(score(graph, later.numeric, later.category), own, atol=1e-6)
    losses = []
    for count in range(LEAST_ROUNDS, MOST_ROUNDS + 1, 20):
        losses.append(_validation_scorer(parts, count)[1])
    assert report.log_loss <= min(losses) + 1e-6


def test_the_manifest_learns_what_the_model_is_to_its_reference_on_the_validation_month(root: Path) -> None:
    """Both made without that month, and a day's mean is one draw."""
    parts, report = _parts(root), _compression(root)
    validation = parts.validation
    reference, loss = _validation_scorer(parts, report.scorer.trees)
    assert report.scorer.auc == pytest.approx(roc_auc_score(validation.label, reference), abs=1e-9)
    assert report.scorer.log_loss == pytest.approx(loss, abs=1e-9)
    days = [validation.day == day for day in np.unique(validation.day)]
    paired = report.student.log_loss - loss  # over rows; over days it differs a little
    assert report.scorer.days == len(days) == 30
    assert report.scorer.paired_loss == pytest.approx(paired, abs=0.01)
    expected = report.scorer.expected()
    assert expected["reference_auc"] == report.scorer.auc
    assert expected["paired_loss"] == report.scorer.paired_loss
    assert expected["paired_loss_day_sd"] > 0
    release = from_metrics(expected)
    assert release.loss is not None
    assert release.score is not None
    assert release.loss.days > 25  # a few have labels of one class
    assert release.loss.mean == pytest.approx(paired, abs=0.03)
    slices = make_reference_scorer(parts, SCHEMA).slices
    assert slices["origin=JFK"].sum() == (validation.category[:, 1] == "JFK").sum() > 0
    distance = validation.numeric[:, SCHEMA.numeric_names.index("distance")]
    assert slices["distance=500..1000"].sum() == ((distance >= 500) & (distance < 1_000)).sum() > 0


def _validation_scorer(parts: Split, rounds: int) -> tuple[Probability, float]:
    """Scores of the validation month by trees that did not see it, and their log-loss."""
    words = fit_vocabulary(parts.fit.category)
    trees = grow(Rows(parts.fit.numeric, parts.fit.codes(words), parts.fit.label), rounds)
    scores = probabilities(trees, parts.validation.numeric, parts.validation.codes(words))
    return scores, log_loss(parts.validation.label, scores)


def test_evaluation_has_its_shape_and_scores_the_released_files(root: Path) -> None:
    report = _evaluation(root)
    later = _parts(root).later
    assert [month.month for month in report.months] == ["2013-07", "2013-08"]
    assert set(msgspec.to_builtins(report.months[0])) == {
        "month",
        "rows",
        "positive_share",
        "auc",
        "log_loss",
        "brier",
        "ece",
    }
    assert set(report.baselines) == {"lightgbm", "logistic_regression", "reference_scorer"}
    assert report.months == report.student.months
    assert sum(month.rows for month in report.months) == later.labelled.sum()
    assert sum(report.unlabelled.values()) == (~later.labelled).sum() > 0
    july = later.where(later.labelled & (later.month == "2013-07"))
    served = score((root / "artifacts/compress/student.onnx").read_bytes(), july.numeric, july.category)
    assert report.months[0].auc == pytest.approx(roc_auc_score(july.label, served), abs=1e-9)
    for model in (report.student, report.teacher, *report.baselines.values()):
        assert min(month.auc or 0 for month in model.months) > 0.7  # the laws reach about .80
    for picture in ("auc_by_month", "calibration"):
        assert (root / f"reports/plots/{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_compress_and_evaluate_repeat_to_the_bit(root: Path, tmp_path: Path) -> None:
    again = _copy(root, tmp_path / "else" / "where")
    _compress(again)
    _evaluate(again)
    written = [
        *(path.relative_to(root) for path in sorted((root / "artifacts/compress").iterdir())),
        *(Path(f"reports/{name}") for name in ("compression.json", "evaluation.json", "plots/months.json")),
        *(Path(f"reports/plots/{name}.png") for name in ("auc_by_month", "calibration")),
    ]
    assert [path for path in written if (root / path).read_bytes() != (again / path).read_bytes()] == []


def test_a_hopeless_student_is_not_released(root: Path, tmp_path: Path) -> None:
    again = _copy(root, tmp_path / "again")
    (again / "objectives.yaml").write_text("teacher_bytes: 2000000\n")
    _compress(again, HOPELESS)
    report = _compression(again)
    assert report.released == "teacher"
    assert "more than the 0.05 allowed" in report.reason
    assert report.limits.max_bytes == 2_000_000, "the workspace's objective"
    _evaluate(again)
    evaluation = _evaluation(again)
    assert evaluation.released == "teacher"
    assert evaluation.months == evaluation.teacher.months != evaluation.student.months


@pytest.mark.parametrize(
    ("loss", "size", "released"),
    [
        (0.0019, 40_000, "student"),
        (0.002, 40_000, "student"),
        (-0.01, 40_000, "student"),
        (0.0021, 40_000, "teacher"),
        (0.0, LIMITS.max_bytes + 1, "teacher"),
    ],
)
def test_what_is_released(loss: float, size: int, released: str) -> None:
    assert decide(Interval(loss - 0.002, loss, loss + 0.002), size, LIMITS)[0] == released


def test_damaged_inputs_are_named(root: Path, tmp_path: Path) -> None:
    again = _copy(root, tmp_path / "again")
    (again / "artifacts/train/final.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"final.*dvc repro"):
        checkpoint.load(again / "artifacts/train", "final")
    (again / "reports/compression.json").write_text("{}")
    with pytest.raises(DataError, match=r"compression\.json.*dvc repro"):
        _evaluate(again)
    with pytest.raises(ParameterError, match="`as_of` must leave labelled flights after it"):
        _evaluate(root, date(2013, 9, 1))


def _copy(root: Path, to: Path) -> Path:
    shutil.copytree(root, to, ignore=shutil.ignore_patterns("mlflow.db"))
    return to
