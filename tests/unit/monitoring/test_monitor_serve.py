"""`windsock monitor serve`: gauges and page say what the newest result says, and its age; unknown is never green."""

import json
import math
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
import yaml
from prometheus_client.parser import text_string_to_metric_families

from contracts.errors import Unavailable
from contracts.objectives import Objectives
from contracts.reports.monitoring import FeatureDrift, FeatureText
from contracts.reports.watching import Fault, Instrument, State, WatchedModel, WindowQuality
from contracts.schema import Subject, Target
from deploy.local.processes import Program, one_running
from monitoring.monitor import gauges, page
from monitoring.monitor import results as reports
from monitoring.monitor.results import Newest
from monitoring.monitor.server import LOST_SECONDS, STALE_SECONDS, Poller
from tasks.flights.schema import SCHEMA
from tests.support.serving import free_ports, wait_until
from tests.support.tiny import PROMISED
from tests.unit.monitoring.conftest import FEW, World, make_world, recently

RULES = Path(__file__).parents[3] / "deploy/observability/rules/alerts.yml"
NAMES = SCHEMA.names
UNREACHABLE = "postgresql+psycopg://windsock:hush@127.0.0.1:9/windsock"
DRIFT = [FeatureDrift(name, "wasserstein", 0.1, i / 100, i >= 10, 0.25, 0.0) for i, name in enumerate(NAMES)]
DRIFT[0] = FeatureDrift(NAMES[0], "wasserstein", 0.1, None, None, 1.0, 0.0, "too few")
PAGE = b"<!doctype html><p>Evidently's</p>"


@pytest.fixture(autouse=True)
def no_evidently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.monitor.summary.compare", lambda *_: (tuple(DRIFT), PAGE))


@pytest.fixture
def busy(world: World) -> World:
    """240 flights of an hour ago, half of them late, all told apart."""
    hour = recently(hours=1)
    world.log(world.flights("f", hour, 240, 0.5, arrived=hour, fair=True))
    return world


def read(text: bytes) -> dict[str, float]:
    """`name` or `name/label value` -> value."""
    return {
        "/".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def scrape(database: str, now: datetime | None = None, *, unreachable: bool = False) -> dict[str, float]:
    return read(gauges.text(reports.newest(database), now or datetime.now(UTC), unreachable=unreachable))


def draw(database: str, trouble: str | None = None, now: datetime | None = None) -> str:
    return page.render(reports.newest(database), trouble, now or datetime.now(UTC))


def test_gauges_equal_the_result(busy: World) -> None:
    report = busy.run(files=False)
    window, found = report["window"], scrape(busy.database)
    for name in ("auc", "log_loss", "brier", "ece", "positive_share"):
        assert found[f"windsock_quality/{name}"] == window["quality"][name], name
    for name, value in PROMISED.items():
        assert found[f"windsock_release_quality/{name}"] == value
    assert (found["windsock_quality_known"], found["windsock_quality_rows"]) == (1, 240)
    assert found["windsock_labelled_share"] == 1
    assert {name: found[f"windsock_drift/{name}"] for name in NAMES[1:]} == {
        cell["feature"]: cell["value"] for cell in window["drift"][1:]
    }
    assert math.isnan(found[f"windsock_drift/{NAMES[0]}"])
    assert {found[f"windsock_drift_threshold/{name}"] for name in NAMES} == {0.1}
    assert found[f"windsock_missing_share/{NAMES[0]}"] == 1.0
    assert found["windsock_monitor_window_end_timestamp_seconds"] == pytest.approx(
        datetime.fromisoformat(window["last"]).timestamp()
    )


def test_ages_are_of_the_scrape(busy: World) -> None:
    generated = datetime.fromisoformat(busy.run(files=False)["generated_at"])
    now = generated + timedelta(hours=5)
    found = scrape(busy.database, now)
    assert now.timestamp() - found["windsock_monitor_last_run_timestamp_seconds"] == 5 * 3600
    assert found["windsock_data_age_seconds"] == pytest.approx(6 * 3600, abs=60)
    later = scrape(busy.database, now + timedelta(hours=1))
    assert later["windsock_data_age_seconds"] - found["windsock_data_age_seconds"] == pytest.approx(3600)


def test_a_manifest_without_quality_is_nan_and_promises_nothing(tmp_path: Path) -> None:
    world = make_world(tmp_path, metrics={})
    world.log(world.flights("f", recently(hours=1), 240, 0.5, fair=True))
    world.run(files=False)
    found = scrape(world.database)
    assert all(math.isnan(found[f"windsock_release_quality/{name}"]) for name in PROMISED)
    assert 'class="good"' not in draw(world.database)


def is_unknown(found: dict[str, float]) -> bool:
    measures = ("auc", "log_loss", "brier", "ece", "positive_share")
    return found["windsock_quality_known"] == 0 and all(math.isnan(found[f"windsock_quality/{m}"]) for m in measures)


@pytest.mark.parametrize(
    ("count", "late", "reason"),
    [
        (0, None, " has answered nothing in the newest 28 days."),
        (120, None, "No label has arrived."),
        (120, 1.0, "All 120 labelled flights are late."),
        (120, 0.5, "Only 60 late and 60 other"),
    ],
)
def test_unknown_is_told_with_the_reason_and_never_green(
    world: World, count: int, late: float | None, reason: str
) -> None:
    world.log(world.flights("f", recently(hours=1), count, late))
    world.run(files=False)
    assert is_unknown(scrape(world.database))
    html = draw(world.database)
    assert '<span class="soft">Unknown.</span>' in html
    assert reason in html
    assert 'class="good"' not in html


def test_before_the_first_run_all_is_unknown(world: World) -> None:
    found = scrape(world.database)
    assert is_unknown(found)
    assert math.isnan(found["windsock_monitor_last_run_timestamp_seconds"]), "never is no instant"
    assert math.isnan(found["windsock_data_age_seconds"])
    assert "The monitor has not run" in draw(world.database)
    world.log(world.flights("f", recently(hours=1), 3, None, arrived=recently(hours=1)))
    assert 3_500 < scrape(world.database)["windsock_data_age_seconds"] <= 3_660, "freshness needs no run"


def test_a_database_without_tables_is_no_error(tmp_path: Path) -> None:
    assert reports.newest(f"sqlite:///{tmp_path / 'new.db'}") == Newest(None, None)
    assert reports.page(f"sqlite:///{tmp_path / 'new.db'}", "2013-07") is None


def test_an_unreachable_database_makes_quality_unknown_and_ages_go_on(busy: World) -> None:
    busy.run(files=False)
    poller = Poller(busy.database)
    poller.ask()
    assert poller.trouble is None
    poller.database_url = UNREACHABLE
    poller.ask()
    trouble = str(poller.trouble)
    assert "must answer, got: " in trouble
    assert "hush" not in trouble
    now = datetime.now(UTC) + timedelta(hours=4)
    found = read(gauges.text(poller.seen, now, unreachable=True))
    assert is_unknown(found)
    assert math.isnan(found["windsock_drift/temp"])
    assert now.timestamp() - found["windsock_monitor_last_run_timestamp_seconds"] > 3 * 3600, "MonitorSilent"
    assert found["windsock_data_age_seconds"] > 4 * 3600, "DataStale comes in its time"
    html = page.render(poller.seen, trouble, datetime.now(UTC))
    assert '<span class="soft">Unknown.</span>' in html
    assert "The database does not answer" in html
    assert "hush" not in html


def test_a_question_that_hangs_is_an_unreachable_database(busy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    poller = Poller(busy.database)
    poller.ask()
    moment = poller._asked + STALE_SECONDS + 7
    monkeypatch.setattr("monitoring.monitor.server.time.monotonic", lambda: moment)
    assert poller.trouble == "the database has not answered for 37 s"


@pytest.mark.parametrize(
    "stored", ["{", '{"generated_at": "2026-11-24T08:00:00+00:00", "months": []}', '{"format": 99}']
)
def test_a_result_that_cannot_be_read_is_said_and_ends_nothing(busy: World, stored: str) -> None:
    busy.run(files=False)
    engine = sa.create_engine(busy.database)
    with engine.begin() as connection:
        connection.execute(sa.update(reports.REPORTS).values(report=stored))
    engine.dispose()
    poller = Poller(busy.database)
    poller.ask()
    found = read(gauges.text(poller.seen, datetime.now(UTC), unreachable=False))
    assert is_unknown(found)
    assert time.time() - found["windsock_monitor_last_run_timestamp_seconds"] < 60, "it ran, whatever it wrote"
    assert found["windsock_data_age_seconds"] > 3_500
    html = page.render(poller.seen, poller.trouble, datetime.now(UTC))
    assert '<span class="soft">Unknown.</span>' in html
    assert "The newest result cannot be read, and `windsock monitor` makes a new one" in html
    assert "must be a Monitoring of this version, got: " in html


def test_that_no_alarm_can_arrive_is_said_on_the_page(busy: World) -> None:
    busy.run(files=False)
    seen, now = reports.newest(busy.database), datetime.now(UTC)
    assert "No alarm can arrive" not in page.render(seen, None, now)
    assert "No alarm can arrive: no Watchdog has come" in page.render(seen, None, now, "no Watchdog has come for 400 s")


def test_a_silent_monitor_is_not_green(busy: World) -> None:
    busy.run(files=False)
    seen = reports.newest(busy.database)
    assert seen.report is not None
    seen = replace(seen, report=msgspec.structs.replace(seen.report, watched=(watched("ok"),)))
    assert '<span class="good">As it should be.</span>' in page.render(seen, None, datetime.now(UTC))
    html = page.render(seen, None, datetime.now(UTC) + timedelta(hours=3, minutes=10))
    assert "The monitor has been silent for 3 h" in html
    assert 'class="good"' not in html


def watched(state: State, *, auc: float | None = 0.741, fault: str = "") -> WatchedModel:
    window = WindowQuality(28, "", 30_000, 29_000, 28_000, auc, 0.5, 0.2, 0.2, 0.746, 0.72, 0.772, "" if auc else "few")
    instrument = Instrument("paired", "", 0, "nats", 0.001, -0.1, 0.1, 1.0, 100.0, state, "because of it")
    faults = (Fault("unit", "wind_speed", "ticket", 1.0, 0.5, 90, fault, None),) if fault else ()
    return WatchedModel("d" * 64, "champion", 30_000, None, None, (window,), (instrument,), faults)


def test_the_page_judges_the_monitor_s_age_as_the_alert_does() -> None:
    rules = {
        rule["alert"]: rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    }
    assert f"> {Objectives().monitor_silent_hours:g} * 3600" in rules["MonitorSilent"]


def test_gauges_tell_what_is_watched(busy: World) -> None:
    busy.run(files=False)
    seen = reports.newest(busy.database)
    report = seen.report
    assert report is not None
    model = watched("page", fault="wind_speed looks like m/s")
    seen = replace(seen, report=msgspec.structs.replace(report, watched=(model,)))
    text = gauges.text(seen, datetime.now(UTC), unreachable=False).decode()
    who = 'role="champion"'
    assert re.search(
        rf'windsock_instrument_state{{days="0",question="paired",{who},slice="",version="d{{12}}"}} 2.0', text
    )
    assert re.search(rf'windsock_expected_auc{{days="28",of="low",{who},version="d+"}} 0.72', text)
    assert re.search(rf'windsock_fault{{detector="unit",{who},subject="wind_speed",version="d+"}} 1.0', text)
    unknown = replace(seen, report=msgspec.structs.replace(report, watched=(watched("unknown"),)))
    text = gauges.text(unknown, datetime.now(UTC), unreachable=False).decode()
    assert re.search(r"windsock_instrument_state{.*} NaN", text)


def test_a_database_that_blinks_takes_no_number_away(busy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page must not resolve because one question failed; one that has been silent for long is another matter."""
    busy.run(files=False)
    poller = Poller(busy.database)
    poller.ask()
    monkeypatch.setattr(reports, "newest", _fails)
    poller.ask()
    assert poller.trouble is not None
    assert not poller.lost
    found = read(gauges.text(poller.seen, datetime.now(UTC), unreachable=poller.lost, answers=False))
    assert found["windsock_monitor_database_up"] == 0
    assert found["windsock_quality_known"] == 1
    later = time.monotonic() + LOST_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert poller.lost


def _fails(*_: object) -> None:
    raise Unavailable("the database must answer, got: nothing")


def test_the_page_speaks_the_words_of_the_report_s_task(busy: World) -> None:
    """It needs no artifact: what it says of the task stands in the report."""
    busy.log(busy.flights("jul", recently(days=45), 240, 0.5))
    busy.run(files=False)
    seen = reports.newest(busy.database)
    assert seen.report is not None
    words: dict[str, Any] = {
        "title": "Rain at the gauge",
        "subject": Subject("hour", "hours"),
        "target": Target("rain", "Will it rain?", "has rain", "wet", "dry", "it has passed"),
        "features": tuple(FeatureText(feature.name, "seen there") for feature in seen.report.task.features),
    }
    told = msgspec.structs.replace(seen.report, task=msgspec.structs.replace(seen.report.task, **words))
    html = page.render(replace(seen, report=told), None, datetime.now(UTC))
    for shown in ("Rain at the gauge", '<th class="n">hours</th>', '<th class="n">wet</th>', "trained on hours before"):
        assert shown in html
    assert not re.search(r"\b(flights?|late|punctual|landed)\b", html)


def test_rows_that_were_left_out_are_said(busy: World) -> None:
    busy.run(files=False)
    seen = reports.newest(busy.database)
    assert seen.report is not None
    assert "Left out" not in page.render(seen, None, datetime.now(UTC))
    months = tuple(msgspec.structs.replace(month, other_inputs=1_234) for month in seen.report.months[-1:])
    html = page.render(
        replace(seen, report=msgspec.structs.replace(seen.report, months=months)), None, datetime.now(UTC)
    )
    assert "1,234 rows have the inputs of another schema than this model's" in html.replace("&#39;", "'")


def test_the_page_shows_months_drift_and_links_and_needs_no_network(busy: World) -> None:
    busy.log(busy.flights("jul", recently(days=45), 240, 0.5))
    months = [month["month"] for month in busy.run(files=False)["months"]]
    html = draw(busy.database)
    links = set(re.findall(r'href="([^"]+)"', html))
    runbook = "runbooks/QualityUnknown"
    evidently = {f"monitoring/{m}.html" for m in (*months, "window")}
    assert links == {"report.json", "metrics", runbook, *evidently}
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", html)
    assert "<script" not in html
    assert all(f">{name}<" in html for name in NAMES)
    assert reports.page(busy.database, months[0]) is not None


def test_a_reader_never_sees_half(busy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = busy.run(files=False)
    # Between the result and its pages.
    monkeypatch.setattr("monitoring.monitor.results.gzip.compress", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        busy.run(files=False)
    monkeypatch.undo()
    assert busy.newest() == first
    assert reports.page(busy.database, "window") is not None


def test_the_table_stays_small(busy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "HISTORY", 3)
    for _ in range(5):
        report = busy.run(files=False)
    engine = sa.create_engine(busy.database)
    with engine.connect() as connection:
        results = connection.scalars(sa.select(reports.REPORTS.c.id)).all()
        pages = set(connection.execute(sa.select(reports.PAGES.c.report_id, reports.PAGES.c.name)).all())
    engine.dispose()
    assert results == [3, 4, 5]
    assert pages == {(5, name) for name in ("window", *(month["month"] for month in report["months"]))}


def test_an_unreachable_database_is_one_sentence(world: World) -> None:
    world.run(files=False)
    report = reports.newest(world.database).report
    assert report is not None
    with pytest.raises(Unavailable, match="must answer, got: ") as caught:
        reports.save(UNREACHABLE, report, {})
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


@contextmanager
def serving(folder: Path, database: str, every: str = "0") -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "cli", "monitor", "serve", "--port", str(port), "--database", database]
    command += ["--every", every, "--store", str(folder / "store"), "--public-key", str(folder / "signing.pub")]
    with one_running(Program("serve", command, port, "/healthz"), folder, folder) as process:
        yield f"http://127.0.0.1:{port}", process


def ask(url: str) -> tuple[int, bytes, dict[str, str]]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read(), {k.lower(): v for k, v in answer.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), {}
    except OSError:
        return 0, b"", {}


def test_it_serves_and_sees_a_new_result_and_ends(busy: World) -> None:
    with serving(busy.root, busy.database) as (at, process):
        assert {ask(at + path)[0] for path in ("/healthz", "/livez", "/readyz")} == {200}
        assert ask(f"{at}/report.json")[0] == 404
        report = busy.run(files=False)
        wait_until(lambda: ask(f"{at}/report.json")[0] == 200, "the new result must be seen", 30)
        assert json.loads(ask(f"{at}/report.json")[1]) == report
        status, text, headers = ask(f"{at}/metrics")
        assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert read(text)["windsock_quality/auc"] == report["window"]["quality"]["auc"]
        status, html, headers = ask(f"{at}/")
        assert (status, "default-src 'none'" in headers["content-security-policy"]) == (200, True)
        assert b"Watched now" in html
        status, packed, headers = ask(f"{at}/monitoring/window.html")
        assert (status, headers["content-encoding"]) == (200, "gzip")
        assert packed == reports.page(busy.database, "window")
        assert ask(f"{at}/monitoring/1999-01.html")[0] == 404
        assert ask(f"{at}/runbooks/ServiceDown")[1].startswith(b"# ServiceDown\n")
        assert {ask(f"{at}/runbooks/{name}")[0] for name in ("None", "..%2FREADME", "%2e%2e")} == {404}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def runs(at: str) -> dict[str, float]:
    found = read(ask(f"{at}/metrics")[1])
    return {outcome: found[f"windsock_monitor_runs_total/{outcome}"] for outcome in ("ok", "failed")}


def test_it_runs_the_monitor_again_and_again_and_keeps_its_files_to_itself(world: World) -> None:
    world.log(world.flights("f", recently(hours=1), FEW, None))
    with serving(world.root, world.database, every="1s") as (at, process):
        assert runs(at)["ok"] == 0
        wait_until(lambda: runs(at)["ok"] >= 2, "it must run, and run again", 60)
        found = read(ask(f"{at}/metrics")[1])
        assert 0 < found["windsock_monitor_run_seconds"] < 60
        wait_until(lambda: ask(f"{at}/report.json")[0] == 200, "the result must be shown", 30)
        assert json.loads(ask(f"{at}/report.json")[1])["window"]["rows"] == FEW
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert not (world.root / "reports").exists(), "files of the workspace are written by hand"


def test_a_run_that_fails_is_counted_and_takes_nothing_away(world: World) -> None:
    (world.root / "store/champion").unlink()
    with serving(world.root, world.database, every="1s") as (at, _):
        wait_until(lambda: runs(at)["failed"] >= 2, "it must try again", 60)
        assert runs(at)["ok"] == 0
        assert ask(f"{at}/")[0] == 200
    log = (world.root / "serve.log").read_text()
    assert "the monitor's run failed: status 1; tried again in" in log
    assert "must name the released model" in log


def test_it_serves_with_an_unreachable_database(tmp_path: Path) -> None:
    with serving(tmp_path, UNREACHABLE) as (at, _):
        status, text, _ = ask(f"{at}/metrics")
        assert status == 200
        assert is_unknown(read(text))
        status, html, _ = ask(f"{at}/")
        assert (status, b"Unknown." in html, b"must answer, got" in html) == (200, True, True)
        status, said, _ = ask(f"{at}/monitoring/2013-07.html")
        assert (status, b"must answer" in said, b"Traceback" in said) == (503, True, False)
        assert ask(f"{at}/readyz")[0] == 200, "or Prometheus would lose its gauges with the database"
    assert "hush" not in (tmp_path / "serve.log").read_text()


def test_a_taken_port_is_one_sentence(world: World) -> None:
    with serving(world.root, world.database) as (at, _):
        command = [sys.executable, "-m", "cli", "monitor", "serve", "--port", at.rsplit(":", 1)[1]]
        run = subprocess.run(command, cwd=world.root, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert re.fullmatch(
        r"Error: `127.0.0.1:\d+` must be free, got: .*; choose another with --host or --port\n", run.stderr
    )
