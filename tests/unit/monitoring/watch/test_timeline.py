"""The champion's weeks: measured in its band, gaps where nothing is known, releases where a digest began."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from contracts.reports.watching import Timeline
from monitoring.hours.hour import Hour
from monitoring.hours.store import write_hours
from monitoring.log.database import opened
from monitoring.log.watching import METADATA
from monitoring.monitor.shown.timelines import pictures
from monitoring.watch.timeline import timeline
from tests.unit.monitoring.expected.traffic import FIRST, traffic

ZONE = "America/New_York"
DAYS = 35


def lines(folder: Path, hours: list[Hour], least: int = 100, until: int = DAYS * 24) -> Timeline:
    url = f"sqlite:///{folder / 'hours.db'}"
    with opened(url) as engine:
        METADATA.create_all(engine)
        write_hours(engine, "event", {}, [whole(hour) for hour in hours])
    return timeline(url, "event", ZONE, least, FIRST + until - 1)


def whole(hour: Hour) -> Hour:
    """With two features, one value of ten missing."""
    return replace(hour, missing=np.array([hour.rows // 5, 0]))


def test_a_sound_model_is_in_its_band_and_weeks_are_local(tmp_path: Path) -> None:
    found = lines(tmp_path, traffic(DAYS).hours())
    assert [week.first for week in found.weeks] == [str(date(2013, 7, 1) + timedelta(weeks=i)) for i in range(5)]
    assert found.releases == (("2013-07-01", "d" * 64),)
    for week in found.weeks:
        assert week.rows == week.labelled == 7 * 24 * 40
        assert week.auc is not None
        assert week.expected_low is not None
        assert week.expected_high is not None
        assert week.expected_low < week.auc < week.expected_high
        assert week.missing == pytest.approx(0.1)


def test_scores_that_are_none_leave_the_band(tmp_path: Path) -> None:
    rows = traffic(DAYS)
    rng = np.random.default_rng(0)
    broken = rows.where(rows.since(28), model=rng.permutation(rows.model))
    *sound, last = lines(tmp_path, broken.hours()).weeks
    assert last.auc is not None
    assert last.expected_low is not None
    assert last.auc < last.expected_low
    assert sound[-1].auc is not None
    assert sound[-1].auc > 0.7


def test_what_is_not_known_is_a_gap(tmp_path: Path) -> None:
    rows = traffic(DAYS)
    silent = rows.where((rows.hour >= FIRST + 7 * 24) & ~rows.since(14), label=np.nan)
    found = lines(tmp_path, silent.hours())
    week = found.weeks[1]
    assert (week.labelled, week.auc, week.expected_low) == (0, None, None)
    chart = pictures(found, "rows")[0].chart
    assert chart.count("<polyline") == chart.count("<polygon") == 2, "a line and a band on each side of the gap"
    assert "ddddddd champion" in chart


def test_a_release_is_marked_where_its_digest_begins(tmp_path: Path) -> None:
    hours = traffic(DAYS).hours()
    both = [replace(hour, digest="e" * 64) if hour.hour >= FIRST + 20 * 24 else hour for hour in hours]
    found = lines(tmp_path, both)
    assert found.releases == (("2013-07-01", "d" * 64), ("2013-07-21", "e" * 64))
    assert {week.rows for week in found.weeks} == {7 * 24 * 40}, "whoever was champion"


def test_too_few_days_have_no_band_and_one_week_no_picture(tmp_path: Path) -> None:
    found = lines(tmp_path, traffic(7).hours(), until=7 * 24)
    assert [(week.auc is None, week.expected_low) for week in found.weeks] == [(False, None)]
    assert pictures(found, "rows") == []
    assert lines(tmp_path, [], until=400 * 24) == Timeline()
