"""The monitor's report on logs that are made by hand."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from contracts.errors import ArtifactInvalid, DataError
from contracts.reports import decode_report, read_report
from contracts.reports.monitoring import Monitoring
from contracts.schema import Calendar
from monitoring.log.insert import Record
from monitoring.log.reader import read_predictions
from monitoring.metrics.declared import Metrics
from monitoring.monitor import job, results
from monitoring.monitor.calendar import MONTHS, month_instants, months_of, wanted_months
from monitoring.spool.frames import Prediction
from monitoring.statistics.quality import auc
from tasks.flights.schema import SCHEMA
from tests.support.tiny import PROMISED
from tests.unit.monitoring.conftest import FEW, World, make_world, recently

NEW_YORK = SCHEMA.calendar


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> World:
    """July: 80 flights, 60 labelled; August: none; September: a few, all on time; October: a few without a label."""
    world = make_world(tmp_path_factory.mktemp("monitor"))
    july = world.flights("jul", datetime(2013, 7, 10, 12), 60, 0.4)
    july += world.flights("unlabelled", datetime(2013, 7, 11, 12), 20, None)
    september = world.flights("sep", datetime(2013, 9, 10, 12), FEW, 0.0)
    world.log([*july, *september, *world.flights("oct", datetime(2013, 10, 10, 12), FEW, None)])
    return world


@pytest.fixture(scope="module")
def written(logged: World) -> dict[str, Any]:
    """reports/monitoring.json of one run over the whole log."""
    returned = logged.run()
    read: dict[str, Any] = json.loads((logged.root / "reports/monitoring.json").read_text())
    assert read == json.loads(json.dumps(returned))
    return read


@pytest.fixture(scope="module")
def report(written: dict[str, Any]) -> dict[str, Any]:
    return {month["month"]: month for month in written["months"]}


def test_quality_of_a_month_is_that_of_its_labelled_rows(report: dict[str, Any], logged: World) -> None:
    july = report["2013-07"]
    assert (july["rows"], july["labelled"], july["unlabelled"]) == (80, 60, 20)
    log = read_predictions(logged.database, datetime(2013, 7, 1), datetime(2013, 8, 1))
    known = ~np.isnan(log.label)
    assert july["quality"]["auc"] == pytest.approx(auc(log.label[known], log.score[known]), abs=1e-12)
    assert july["quality"]["rows"] == 60
    assert july["models"] == {logged.digest: 80}


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
    assert report["2013-08"]["latency"]["grpc"] == {"rows": 0, "p50_ms": None, "p99_ms": None}


def test_the_reference_is_the_champion_s_own(written: dict[str, Any], report: dict[str, Any], logged: World) -> None:
    """Nothing else is there to take it from: no features, no parameters."""
    assert written["reference"] == {"rows": 300}
    temp = next(drift for drift in report["2013-07"]["drift"] if drift["feature"] == "temp")
    assert temp["value"] < 0.1
    assert (logged.root / "reports" / report["2013-07"]["page"]).is_file()
    assert written["release"] == {
        "digest": logged.digest, "released": "student", "as_of": "2013-07-01", "metrics": PROMISED
    }  # fmt: skip


def test_result_and_pages_are_in_the_database_too(written: dict[str, Any], logged: World) -> None:
    assert logged.newest() == written
    in_files = {path.stem for path in (logged.root / "reports/monitoring").glob("*.html")}
    assert in_files == {"2013-07", "window"}
    on_disk = (logged.root / "reports/monitoring/2013-07.html").read_text(encoding="utf-8")
    assert '<a href="../">All reports</a>' in on_disk
    assert "<title>" in on_disk
    assert {name for name in ("2013-07", "2013-09", "window") if results.page(logged.database, name)} == in_files


def test_without_files_only_the_database_is_written(world: World) -> None:
    world.log(world.flights("few", datetime(2013, 7, 10), FEW, 0.5))
    report = world.run(files=False)
    assert not (world.root / "reports").exists()
    assert world.newest() == report


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (None, "no label has arrived"),
        (1.0, "all 120 labelled flights are late"),
        (0.5, "only 60 late and 60 other labelled flights, fewer than 100 of each"),
    ],
)
def test_a_window_that_says_too_little_is_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch, late: float | None, reason: str
) -> None:
    monkeypatch.setattr("monitoring.monitor.summary.compare", lambda *_: ([], None))  # drift has tests of its own
    world.log(world.flights("f", datetime(2013, 7, 10), 120, late))
    window = world.run(files=False)["window"]
    assert (window["quality"], window["quality_unknown"]) == (None, reason)


def test_the_window_is_the_champion_s_newest_answers_by_arrival(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.monitor.summary.compare", lambda *_: ([], None))
    (world.root / "objectives.yaml").write_text("window_rows: 240\n")
    when = datetime(2013, 9, 20, 12)
    records: list[Record] = world.flights("long ago", when, 220, 0.5, arrived=recently(days=29))
    records += world.flights("before", when, 220, 0.5, arrived=recently(hours=2))
    records += world.flights("other", when, 220, 0.5, digest="e" * 64, arrived=recently(hours=2))
    records += world.flights("new", when, 240, 0.5, arrived=recently(hours=1), fair=True)
    world.log(records)
    window = world.run(files=False)["window"]
    assert (window["rows"], window["quality"]["auc"]) == (240, 1.0)
    assert window["models"] == {world.digest: 240}
    assert datetime.fromisoformat(window["last"]).timestamp() == pytest.approx(time.time() - 3600, abs=60)
    (world.root / "objectives.yaml").unlink()
    assert world.run(files=False)["window"]["rows"] == 460, "not those of 29 days ago"


def test_answers_of_another_model_say_nothing_about_the_champion(world: World) -> None:
    world.log(world.flights("other", datetime(2013, 9, 20), FEW, 0.5, digest="e" * 64))
    report = world.run(files=False)
    assert "the newest answers are of eeeeeeeeeeee" in report["window"]["quality_unknown"]
    assert report["months"][0]["rows"] == FEW


def test_a_monitor_of_another_model_than_is_served_does_not_know(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `kubectl rollout undo` of the service alone: the former model answers again, and it is not monitored."""
    monkeypatch.setattr("monitoring.monitor.summary.compare", lambda *_: ([], None))
    when = datetime(2013, 9, 20, 12)
    monitored = world.flights("monitored", when, 240, 0.5, arrived=recently(hours=2))
    world.log([*monitored, *world.flights("before", when, 90, 0.5, digest="e" * 64, arrived=recently(hours=3))])
    assert world.run(files=False)["window"]["quality"] is not None
    world.log([*world.flights("undone", when, 120, 0.5, digest="e" * 64, arrived=recently(hours=1))])
    window = world.run(files=False)["window"]
    why = f"the newest answers are of eeeeeeeeeeee, and what is monitored is {world.digest[:12]}"
    assert (window["rows"], window["quality"], window["quality_unknown"]) == (240, None, why)


def test_an_empty_log_is_unknown_and_not_an_error(world: World) -> None:
    report = world.run()
    assert report["months"] == []
    assert (report["window"]["rows"], report["window"]["quality"]) == (0, None)
    assert "has answered nothing" in report["window"]["quality_unknown"]
    assert world.newest() == report


def test_no_log_at_all_is_an_error(world: World) -> None:
    (world.root / "predictions.db").unlink()
    with pytest.raises(DataError, match=r"must be a prediction log.*start the service once"):
        world.run()
    assert not (world.root / "reports").exists()


def test_a_champion_that_was_tampered_with_is_refused(world: World) -> None:
    path = world.root / "store" / world.digest / "reference.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactInvalid):
        world.run()


def test_months_are_new_york_s_and_the_departure_s() -> None:
    asked = np.array(
        ["2013-08-01T01:59", "2013-08-01T02:00", "2013-12-01T02:59", "2013-12-01T03:00"], "datetime64[us]"
    )  # 4 hours behind in summer, 5 in winter; departure is 2 hours after
    assert months_of(asked, NEW_YORK).tolist() == ["2013-07", "2013-08", "2013-11", "2013-12"]
    assert months_of(asked[:0], NEW_YORK).tolist() == []
    assert month_instants("2013-08", NEW_YORK) == (datetime(2013, 8, 1, 2), datetime(2013, 9, 1, 2))
    assert month_instants("2013-12", NEW_YORK) == (datetime(2013, 12, 1, 3), datetime(2014, 1, 1, 3))


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "UTC"])
def test_months_are_those_of_any_zone(zone: str) -> None:
    """Offsets of half hours, daylight saving that begins at midnight, a zone that moved over the date line."""
    calendar = Calendar(zone, horizon_minutes=95, label_delay_minutes=60)
    minutes = np.datetime64("2010-12-30", "m") + np.arange(0, 766 * 24 * 60, 7)
    about = [instant.replace(tzinfo=UTC) + timedelta(minutes=95) for instant in minutes.tolist()]
    expected = [f"{moment.astimezone(ZoneInfo(zone)):%Y-%m}" for moment in about]
    assert months_of(minutes.astype("datetime64[us]"), calendar).tolist() == expected
    begin, end = month_instants("2012-10", calendar)
    assert months_of(np.array([begin, end], "datetime64[us]"), calendar).tolist() == ["2012-10", "2012-11"]


def test_rows_with_the_inputs_of_another_schema_are_counted_apart(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("monitoring.monitor.summary.compare", lambda *_: ((), None))
    caplog.set_level("INFO", "monitoring")
    ours = world.flights("ours", datetime(2013, 7, 10), FEW, 0.5)
    other = [
        msgspec.structs.replace(record, numeric=np.array([1.0, np.nan], "<f4").tobytes(), category=b"x")
        for record in world.flights("other", datetime(2013, 7, 11), 7, None)
        if isinstance(record, Prediction)
    ]
    world.log([*ours, *other])
    report = world.run(files=False)
    (july,) = report["months"]
    assert (july["rows"], july["labelled"], july["other_inputs"]) == (FEW, FEW, 7)
    assert sum(july["latency"][protocol]["rows"] for protocol in ("rest", "grpc")) == FEW
    assert "2013-07: 7 rows have inputs of another schema, and are left out" in caplog.text


def test_a_report_of_another_format_is_refused_by_name(logged: World, written: dict[str, Any]) -> None:
    path = logged.root / "reports/monitoring.json"
    assert msgspec.to_builtins(read_report(path, Monitoring).window.quality) == written["window"]["quality"]
    with pytest.raises(DataError, match=r"must be a Monitoring of this version, got: .*format"):
        decode_report(json.dumps(written | {"format": 1}).encode(), Monitoring, str(path))


def test_wanted_months_may_be_named(logged: World) -> None:
    months = logged.run("2013-10", "2013-11")["months"]
    assert [(month["month"], month["rows"]) for month in months] == [("2013-10", FEW), ("2013-11", 0)]


def test_the_work_of_a_run_is_bounded(world: World) -> None:
    world.log(
        [
            r
            for year in (2011, 2012)
            for m in range(1, 13)
            for r in world.flights(f"{year}{m}", datetime(year, m, 9), 1, 1)
        ]
    )
    assert wanted_months(world.database, NEW_YORK, None, None) == [f"2012-{m:02}" for m in range(1, MONTHS + 1)]


def test_a_request_of_today_hides_no_replay_of_2013(world: World) -> None:
    today = recently(hours=1)
    world.log([*world.flights("f", datetime(2013, 7, 10), FEW, 0.5), *world.flights("curl", today, 1, None)])
    report = world.run(files=False)
    assert [month["month"] for month in report["months"]] == ["2013-07", f"{today:%Y-%m}"]
    assert report["window"]["rows"] == FEW + 1


def test_a_clock_that_is_far_ahead_is_in_no_month(world: World) -> None:
    world.log([*world.flights("now", datetime(2013, 7, 10), FEW, 0.5), *world.flights("x", datetime(2150, 1, 1), 1, 1)])
    assert [month["month"] for month in world.run(files=False)["months"]] == ["2013-07"]


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

    metrics = Metrics(SCHEMA)
    metrics.of["rest"].errors["invalid_input"]()
    metrics.of["rest"].errors["unauthenticated"]()
    metrics.of["grpc"].errors["internal"]()
    text = generate_latest(metrics.registry).replace(
        b'code="ok",protocol="rest"} 0.0', b'code="ok",protocol="rest"} 7.0'
    )
    assert b"} 7.0" in text
    with page(text) as url:
        assert job.errors(url) == ({"rest": 2, "grpc": 1}, None)


def test_errors_are_unknown_with_the_reason() -> None:
    assert job.errors(None) == (None, "no address of the service's metrics was given")
    errors, why = job.errors("http://127.0.0.1:9/metrics")
    assert errors is None
    assert "http://127.0.0.1:9/metrics" in str(why)
    with page(b"<html>not metrics") as url:
        assert job.errors(url)[0] is None
    with page(b"# TYPE up gauge\nup 1.0\n") as url:
        assert "must have windsock_requests_total" in str(job.errors(url)[1])


def test_the_command_needs_database_store_and_key_alone(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As its container runs it: settings from variables, nothing of the pipeline there, nothing written beside."""
    world.log(world.flights("few", datetime(2013, 7, 10), FEW, 0.5))
    nowhere = tmp_path_factory.mktemp("nowhere")
    absent = "sys.modules.update(dict.fromkeys(('pyarrow', 'torch', 'pipelines', 'services', 'demo')))"
    code = f"import sys; {absent}; import cli; cli.main()"
    environment = os.environ | {
        "WINDSOCK_DATABASE_URL": world.database,
        "WINDSOCK_STORE": str(world.root / "store"),
        "WINDSOCK_PUBLIC_KEY": str(world.root / "signing.pub"),
        "WINDSOCK_NO_FILES": "1",
    }
    command = [sys.executable, "-c", code, "monitor"]
    run = subprocess.run(command, cwd=nowhere, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = world.newest()
    assert report is not None
    assert [month["month"] for month in report["months"]] == ["2013-07"]
    assert list(nowhere.iterdir()) == []
