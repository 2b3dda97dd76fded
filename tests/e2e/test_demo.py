"""The whole demo on a small world: real service, replay, monitor, checks and page."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import structs

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from contracts.reports import write_report
from contracts.reports.evaluation import EvaluationReport, MonthQuality
from contracts.reports.features import FeatureMonth, FeaturesReport
from contracts.schema import Calendar, CategoricalFeature, NumericFeature, QueryColumn, Schema, Subject, Target
from contracts.workspace import Workspace
from demo import probes
from demo import run as demo_run
from demo.demo_service import refused_start
from demo.replayed_rows import ID, LABEL, MONTH, OUTCOME_AT, PREDICTED_AT
from demo.verdict import checks
from monitoring.statistics.quality import measure
from tasks.flights.schema import SCHEMA
from tests.support.payloads import rows as honest_rows
from tests.support.reports import evaluated
from tests.support.tiny import tiny_model, write_store

MONTHS = ("2013-06", "2013-07", "2013-08")
OTHER = Schema(
    name="long-wait",
    title="Queues at two counters",
    subject=Subject("visit", "visits"),
    target=Target(
        "long_wait", "Will this visitor wait?", "is waited at", "slow", "quick", "the visitor has been served"
    ),
    calendar=Calendar("Asia/Kolkata", horizon_minutes=30, label_delay_minutes=45),
    numeric=(
        NumericFeature("waiting", "people", "in the queue", 0, 500, QueryColumn("waiting"), nullable=False, example=3),
        NumericFeature("minutes_open", "minutes", "since the door opened", 0, 720, QueryColumn("minutes_open")),
    ),
    category=(CategoricalFeature("counter", "name", "of the counter", QueryColumn("counter"), "north", max_length=8),),
    slices=("counter",),
)
ROWS = 28  # a month: too few for a distance, so that Evidently, which has tests of its own, costs no time here


def _table(features: Path, schema: Schema) -> EvaluationReport:
    """Writes the table of features; gives the later months' offline quality, as `evaluate` does."""
    numeric, category = honest_rows(ROWS * len(MONTHS), schema=schema)
    session = onnxruntime.InferenceSession(tiny_model(schema), providers=["CPUExecutionProvider"])
    score = session.run([OUTPUT], {INPUT_NUMERIC: numeric, INPUT_CATEGORY: category})[0]
    label = np.random.default_rng(0).random(len(score)) < (score > np.median(score)) * 0.6 + 0.1
    known = np.arange(len(score)) % 20 > 0
    asked = [datetime.fromisoformat(f"{month}-01") + timedelta(hours=8 + i) for month in MONTHS for i in range(ROWS)]
    month_of = np.repeat(MONTHS, ROWS)
    instants = pa.timestamp("us")
    columns: dict[str, Any] = {
        ID: [f"row-{i}" for i in range(len(score))],
        MONTH: month_of,
        PREDICTED_AT: pa.array(asked, instants),
        OUTCOME_AT: pa.array(
            [t + timedelta(hours=5) if y else None for t, y in zip(asked, known, strict=True)], instants
        ),
        LABEL: pa.array([bool(x) if y else None for x, y in zip(label, known, strict=True)], pa.bool_()),
    }
    columns |= {name: pa.array(numeric[:, i], from_pandas=True) for i, name in enumerate(schema.numeric_names)}
    columns |= {name: category[:, i] for i, name in enumerate(schema.category_names)}
    features.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), features)
    later = [
        MonthQuality(**structs.asdict(measure(label[chosen], score[chosen])), month=month)
        for month in MONTHS[1:]
        for chosen in [(month_of == month) & known]
    ]
    return evaluated(later)


def _world(root: Path, schema: Schema) -> Path:
    """A workspace after `dvc repro` and `windsock release`."""
    workspace, n = Workspace(root), ROWS * len(MONTHS)
    write_report(workspace.report("evaluation"), _table(workspace.features, schema))
    counts = [FeatureMonth(month, ROWS, ROWS, 0.5) for month in MONTHS]
    write_report(workspace.report("features"), FeaturesReport(1, n, n, counts, {}))
    for folder in ("artifacts", "secrets"):
        (root / folder).mkdir()
    write_store(root / "artifacts", tiny_model(schema), schema, vocabulary={})
    workspace.public_key.write_bytes((root / "artifacts/signing.pub").read_bytes())
    # How fast this machine is today is no matter here.
    workspace.objectives.write_text("latency_seconds: 5\n")
    return root


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _world(tmp_path_factory.mktemp("world"), SCHEMA)


def _servers(world: Path) -> list[psutil.Process]:
    """This world's running services; the session's shared one is a child of ours, too."""
    return [child for child in psutil.Process().children() if f"--state={world}" in " ".join(child.cmdline())]


@pytest.fixture
def digest(world: Path) -> str:
    return (world / "artifacts/store/champion").read_text()


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch, digest: str) -> None:
    """What trained and released `world` is over; few requests are sent."""
    monkeypatch.setattr(demo_run, "reproduce", lambda _: None)
    monkeypatch.setattr(demo_run, "release", lambda _: digest)  # it has tests of its own, with MLflow
    for name, value in {"BATCH_ROWS": ROWS, "REQUESTS_A_ROUND": 20, "WARM_UP": 5}.items():
        monkeypatch.setattr(probes, name, value)


@pytest.mark.usefixtures("no_training")
def test_demo_runs_the_line_and_passes(world: Path, digest: str) -> None:
    passed = demo_run.run(world)
    report = json.loads((world / "reports/demo.json").read_text())
    assert [check for check in report["checks"] if not check["passed"]] == []
    assert (passed, report["verdict"]) == (True, "pass")
    assert len(report["checks"]) == len(checks.CHECKS) + (shutil.which("prometheus") is not None)
    monitoring = json.loads((world / "reports/monitoring.json").read_text())
    assert [(month["month"], month["rows"]) for month in monitoring["months"]] == [(m, ROWS) for m in MONTHS[1:]]
    assert monitoring["errors"]["rest"] >= 8, "the refusals that were provoked are counted by the service"
    assert digest in (world / "reports/demo.html").read_text(encoding="utf-8")
    assert not _servers(world), "no server is left"


def test_demo_of_another_task_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other features, words and time zone, in a workspace that is not the current folder."""
    root = _world(tmp_path / "workspaces/queues", OTHER)
    digest = (root / "artifacts/store/champion").read_text()
    monkeypatch.setattr(demo_run, "reproduce", lambda _: None)
    monkeypatch.setattr(demo_run, "release", lambda _: digest)
    for name, value in {"REQUESTS_A_ROUND": 20, "WARM_UP": 5}.items():
        monkeypatch.setattr(probes, name, value)
    monkeypatch.chdir(tmp_path)
    demo_run.run(Path("workspaces/queues"))
    report = json.loads((root / "reports/demo.json").read_text())
    assert [check for check in report["checks"] if not check["passed"]] == []
    page = (root / "reports/demo.html").read_text(encoding="utf-8")
    for word in ("Will this visitor wait?", "every visit of", ">slow</th>", "once the visitor has been served"):
        assert word in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["workspaces"]


def test_flipped_bit_is_refused_and_the_store_untouched(world: Path, digest: str, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (world / "artifacts/store").rglob("*") if path.is_file()}
    refusal = refused_start(Workspace(world), tmp_path / "damaged", digest)
    assert refusal.exit_status not in (None, 0)
    assert digest in refusal.output
    assert {path: path.read_bytes() for path in (world / "artifacts/store").rglob("*") if path.is_file()} == before


def test_exception_in_the_middle_stops_the_server(world: Path, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[psutil.Process] = []

    def breaks(*_: object, **__: object) -> None:
        seen.extend(_servers(world))
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr(demo_run, "reproduce", lambda _: None)
    monkeypatch.setattr(demo_run, "release", lambda _: digest)
    monkeypatch.setattr(demo_run, "read_rows", breaks)  # the first step with the service running
    assert demo_run.run(world) is False
    assert "ZeroDivisionError: in the middle" in (world / "reports/demo.json").read_text()
    assert seen
    assert not [process for process in seen if process.is_running()]
