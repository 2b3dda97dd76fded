"""The monitor's report on logs that are made by hand."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.errors import DataError
from contracts.features import CATEGORY_NAMES, NUMERIC_NAMES
from monitoring import monitor
from monitoring.log import insert, open_database, read_predictions
from monitoring.metrics import Metrics
from monitoring.quality import auc
from monitoring.spool import LabelRecord, PredictionRecord

ROOT = Path(__file__).parents[3]
FEW = 20  # too few for a distance, so these months cost Evidently no time


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """params.yaml and a table of features: 300 training rows of 50 °F, 300 later ones of 90 °F."""
    folder = tmp_path_factory.mktemp("monitor")
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    months = ["2013-06"] * 300 + ["2013-07"] * 300
    columns: dict[str, Any] = {"local_month": months}
    rng = np.random.default_rng(0)
    columns |= {name: rng.normal(size=600).astype(np.float32) for name in NUMERIC_NAMES}
    columns["temp"] = np.repeat(np.array([50, 90], np.float32), 300) + rng.normal(size=600).astype(np.float32)
    columns |= dict.fromkeys(CATEGORY_NAMES, ["UA"] * 600)
    (folder / "data").mkdir()
    pq.write_table(pa.table(columns), folder / "data/features.parquet")
    return folder


def prediction(
    id_: str, event_time: datetime, score: float, protocol: str = "rest", took: int = 200
) -> PredictionRecord:
    numeric: list[float | None] = (
        np.random.default_rng(len(id_) + event_time.minute).normal(size=len(NUMERIC_NAMES)).tolist()
    )
    numeric[NUMERIC_NAMES.index("temp")] = 50.0 + event_time.minute % 3
    return PredictionRecord(
        request_id=id_, digest="d" * 64, protocol=protocol, event_time=event_time, received_at=event_time,
        duration_us=took, numeric=[numeric], category=[["UA", "EWR", "IAH"]], score=[score],
    )  # fmt: skip


@pytest.fixture(scope="module")
def database(root: Path) -> str:
    """July: 80 flights, 60 labelled; August: none; September: a few, all on time; October: a few without a label."""
    url = f"sqlite:///{root / 'predictions.db'}"
    engine = open_database(url)
    rng = np.random.default_rng(1)
    records: list[Any] = []
    for i in range(80):
        when = datetime(2013, 7, 10, 12, i % 60)
        records.append(
            prediction(f"jul{i}", when, float(rng.random()), ("rest", "grpc")[i % 2], took=1_000 * (1 + i % 2))
        )
        if i < 60:
            records.append(LabelRecord(f"jul{i}", 0, bool(rng.random() < 0.4), when, when))
    for i in range(FEW):
        when = datetime(2013, 9, 10, 12, i)
        records += [prediction(f"sep{i}", when, 0.2), LabelRecord(f"sep{i}", 0, False, when, when)]
        records.append(prediction(f"oct{i}", datetime(2013, 10, 10, 12, i), 0.2))
    insert(engine, records)
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def written(root: Path, database: str) -> dict[str, Any]:
    """reports/monitoring.json of one run over the whole log."""
    returned = monitor.run(root, database, None)
    read: dict[str, Any] = json.loads((root / "reports/monitoring.json").read_text())
    assert read == json.loads(json.dumps(returned))
    return read


@pytest.fixture(scope="module")
def report(written: dict[str, Any]) -> dict[str, Any]:
    return {month["month"]: month for month in written["months"]}


def test_quality_of_a_month_is_that_of_its_labelled_rows(report: dict[str, Any], database: str) -> None:
    july = report["2013-07"]
    assert (july["rows"], july["labelled"], july["unlabelled"]) == (80, 60, 20)
    log = read_predictions(database, datetime(2013, 7, 1), datetime(2013, 8, 1))
    known = ~np.isnan(log.late)
    assert july["quality"]["auc"] == pytest.approx(auc(log.late[known], log.score[known]), abs=1e-12)
    assert july["quality"]["rows"] == 60
    assert july["models"] == {"d" * 64: 80}


def test_quality_that_cannot_be_measured_is_unknown_with_the_reason(report: dict[str, Any]) -> None:
    assert list(report) == ["2013-07", "2013-08", "2013-09", "2013-10"], "a month without a row is told, not left out"
    reasons = {name: month["quality_unknown"] for name, month in report.items() if month["quality"] is None}
    assert reasons == {
        "2013-08": "no label has arrived",
        "2013-09": f"all {FEW} labelled flights are not late",
        "2013-10": "no label has arrived",
    }
    assert report["2013-08"]["drift"] == []
    assert report["2013-08"]["page"] is None


def test_latency_is_by_protocol(report: dict[str, Any]) -> None:
    latency = report["2013-07"]["latency"]
    assert latency["rest"] == {"rows": 40, "p50_ms": 1.0, "p99_ms": 1.0}
    assert latency["grpc"] == {"rows": 40, "p50_ms": 2.0, "p99_ms": 2.0}
    assert report["2013-09"]["latency"]["grpc"] == {"rows": 0, "p50_ms": None, "p99_ms": None}


def test_reference_is_the_training_period_alone(written: dict[str, Any], report: dict[str, Any], root: Path) -> None:
    assert written["reference"] == {"before": "2013-07", "rows": 300, "drawn_from": 300, "seed": monitor.SEED}
    # Served at 50 °F like the training rows; the later rows of the table have 90.
    temp = next(drift for drift in report["2013-07"]["drift"] if drift["feature"] == "temp")
    assert temp["value"] < 2, "a reference with July in it would be some twenty standard deviations away"
    assert (root / "reports" / report["2013-07"]["page"]).is_file()


def test_months_are_new_york_s_and_the_departure_s() -> None:
    asked = np.array(
        ["2013-08-01T01:59", "2013-08-01T02:00", "2013-12-01T02:59", "2013-12-01T03:00"], "datetime64[us]"
    )  # 4 hours behind in summer, 5 in winter; departure is 2 hours after
    assert monitor.new_york_months(asked).tolist() == ["2013-07", "2013-08", "2013-11", "2013-12"]
    assert monitor.new_york_months(asked[:0]).tolist() == []


def test_wanted_months_may_be_named(root: Path, database: str) -> None:
    months = monitor.run(root, database, None, "2013-10", "2013-11")["months"]
    assert [(month["month"], month["rows"]) for month in months] == [("2013-10", FEW), ("2013-11", 0)]


def test_empty_log_is_an_error_not_a_good_report(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    open_database(url).dispose()
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    with pytest.raises(DataError, match="must hold predictions"):
        monitor.run(tmp_path, url, None)
    assert not (tmp_path / "reports/monitoring.json").exists()


def test_missing_table_of_features_is_named(tmp_path: Path, database: str) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    with pytest.raises(DataError, match=r"features.parquet.*dvc repro"):
        monitor.run(tmp_path, database, None)


@contextmanager
def page(content: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_errors_come_from_the_service_s_own_metrics() -> None:
    from prometheus_client import generate_latest

    metrics = Metrics()
    metrics.of["rest"].errors["invalid_input"]()
    metrics.of["rest"].errors["unauthenticated"]()
    metrics.of["grpc"].errors["internal"]()
    with page(generate_latest(metrics.registry)) as url:
        assert monitor._errors(url) == {"errors": {"rest": 2, "grpc": 1}, "errors_unknown": None}


def test_errors_are_unknown_with_the_reason() -> None:
    assert monitor._errors(None)["errors_unknown"] == "no address of the service's metrics was given"
    unreachable = monitor._errors("http://127.0.0.1:9/metrics")
    assert unreachable["errors"] is None
    assert "http://127.0.0.1:9/metrics" in unreachable["errors_unknown"]
    with page(b"<html>not metrics") as url:
        assert monitor._errors(url)["errors"] is None
