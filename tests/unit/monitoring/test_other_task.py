"""The monitor knows a task only from the champion's manifest: names, widths, words, time zone, horizon."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from contracts.reports.monitoring import Monitoring
from contracts.schema import Calendar, CategoricalFeature, NumericFeature, QueryColumn, Schema, Subject, Target
from monitoring.log.database import open_log
from monitoring.log.insert import Record, insert
from monitoring.monitor import gauges, job, page, results
from tests.support.tiny import tiny_model, write_store
from tests.unit.monitoring.conftest import label, prediction

# Midnight of the first of July is 18:30 UTC there, and it is asked a quarter of an hour ahead.
TEA = Schema(
    name="tea-spoils",
    title="Tea on the way to Kochi",
    subject=Subject("chest", "chests"),
    target=Target("spoiled", "Does this chest spoil?", "spoils", "spoiled", "sound", "the chest is opened"),
    calendar=Calendar("Asia/Kolkata", horizon_minutes=15, label_delay_minutes=60),
    numeric=(NumericFeature("weight", "kg", "of the chest", 1, 90, QueryColumn("weight"), example=40),),
    category=(CategoricalFeature("garden", "name", "where it grew", QueryColumn("garden"), example="Assam"),),
)
ROWS = 300


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Monitoring, str]:
    """300 chests about the turn of the month, half of them just before it; and the log's address."""
    root = tmp_path_factory.mktemp("tea")
    digest = write_store(root, tiny_model(TEA), TEA)
    database, rng = f"sqlite:///{root / 'predictions.db'}", np.random.default_rng(0)
    engine = open_log(database)
    records: list[Record] = []
    now = datetime.now(UTC).replace(tzinfo=None)
    for i in range(ROWS):
        asked = datetime(2013, 6, 30, 18, 14 if i % 2 else 15, 30)
        weight, garden = np.array([[rng.normal(60, 5)]], np.float32), np.array([["Assam"]], object)
        records.append(prediction(f"chest-{i}", digest, asked, now, weight, garden, [float(rng.random())]))
        records.append(label(f"chest-{i}", bool(i % 3), asked + timedelta(hours=1), now))
    assert insert(engine, records) == []
    engine.dispose()
    return job.run(root, database, None, store=root / "store", public_key=root / "signing.pub"), database


def test_months_are_those_of_its_calendar(report: tuple[Monitoring, str]) -> None:
    assert [(month.month, month.rows) for month in report[0].months] == [("2013-06", 150), ("2013-07", 150)]


def test_drift_and_gauges_are_by_its_features(report: tuple[Monitoring, str]) -> None:
    found, database = report
    assert [(drift.feature, drift.method) for drift in found.window.drift] == [
        ("weight", "wasserstein"),
        ("garden", "jensenshannon"),
    ]
    text = gauges.text(results.newest(database), datetime.now(UTC), unreachable=False).decode()
    assert set(re.findall(r'feature="(\w+)"', text)) == {"weight", "garden"}


def test_page_speaks_its_words(report: tuple[Monitoring, str]) -> None:
    html = page.render(results.newest(report[1]), None, datetime.now(UTC))
    for shown in (
        "Tea on the way to Kochi",
        '<th class="n">chests</th>',
        '<th class="n">spoiled</th>',
        "where it grew",
    ):
        assert shown in html
    assert not re.search(r"\b(flights?|late|punctual|carrier|airport)\b", html)


def test_its_files_are_written_below_its_root(report: tuple[Monitoring, str]) -> None:
    root = Path(report[1].removeprefix("sqlite:///")).parent
    assert (root / "reports/monitoring.json").is_file()
    assert {path.stem for path in (root / "reports/monitoring").glob("*.html")} == {"2013-06", "2013-07", "window"}
