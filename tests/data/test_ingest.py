"""Labels, calendar and counts of the ingested year, against the source's own columns."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from contracts.workspace import Workspace
from pipelines import parquet
from tasks.flights import cleaning, clock, source

ATLANTIC = "America/Puerto_Rico"


@pytest.fixture(scope="module")
def year() -> source.Source:
    return source.load(source.locate())


@pytest.fixture(scope="module")
def raw(year: source.Source) -> pd.DataFrame:
    return year.flights


@pytest.fixture(scope="module")
def flights(ingested: Workspace) -> pd.DataFrame:
    frame: pd.DataFrame = parquet.read(ingested.ingested / "flights.parquet").to_pandas()
    return frame


@pytest.fixture(scope="module")
def report(ingested: Workspace) -> Any:
    return json.loads(ingested.report("ingest").read_text())


def utc(instants: "pd.Series[pd.Timestamp]") -> list[datetime]:
    return [instant.replace(tzinfo=UTC) for instant in instants]


def test_every_flight_is_kept_and_the_unlabelled_are_counted(
    raw: pd.DataFrame, flights: pd.DataFrame, report: dict[str, Any]
) -> None:
    counts = report["tables"]["flights"]["counts"]
    cancelled = raw["dep_time"].isna()
    diverted = ~cancelled & raw["arr_delay"].isna()
    assert (
        report["tables"]["flights"]["rows_read"]
        == report["tables"]["flights"]["rows_kept"]
        == len(raw)
        == len(flights)
        == 336_776
    )
    assert counts["cancelled"] == cancelled.sum() == flights["departed"].isna().sum() == 8_255
    assert counts["diverted"] == diverted.sum() == 1_175
    assert counts["labelled"] == flights["landed"].notna().sum() == 336_776 - 8_255 - 1_175
    assert counts["late"] == (raw["arr_delay"] >= 15).sum()


def test_what_was_mended_is_counted(report: dict[str, Any]) -> None:
    assert report["tables"]["weather"]["marked_missing"] == {"wind_speed": 1}  # 1048 mph
    assert report["tables"]["flights"]["repaired"] == {"landed_before_air_time": 0, "zone_of_absent_airport": 7_602}
    assert report["source_sha256"] == source.SHA256


def test_late_is_fifteen_minutes_or_more_and_unknown_for_flights_that_never_arrived(weeks: Workspace) -> None:
    flights = parquet.read(weeks.ingested / "flights.parquet").to_pandas().set_index("flight_id")
    features = parquet.read(weeks.features).to_pandas().set_index("row_id")
    flights = flights.loc[features.index]
    late, delay = features["label"], flights["arr_delay"]
    assert set(late[delay == 14]) == {False}
    assert set(late[delay == 15]) == {True}
    assert (late.isna() == delay.isna()).all()
    assert (late.dropna().astype(bool) == (delay.dropna() >= 15)).all()
    cancelled = flights["departed"].isna()
    diverted = flights["departed"].notna() & delay.isna()
    assert cancelled.sum() > 500
    assert diverted.sum() > 50
    assert features.loc[cancelled | diverted, "outcome_at"].isna().all()
    report = json.loads(weeks.report("features").read_text())
    assert report["rows"] == len(flights)
    assert report["labelled"] == delay.notna().sum()
    assert sum(month["rows"] for month in report["months"]) == len(flights)


def test_arrivals_agree_with_the_clock_at_the_destination(year: source.Source, flights: pd.DataFrame) -> None:
    """Ingest does not read `arr_time`: a local clock, which must show the same minute."""
    raw = pd.read_csv(source.locate()["flights.csv.zip"], usecols=["arr_time"])["arr_time"]
    read = year.flights.assign(arr_time=raw)
    by_id = cleaning.schedule(read).set_index("flight_id")
    sample = flights[flights["landed"].notna()].sample(2_000, random_state=1)
    actual = by_id.loc[sample["flight_id"]]
    zones = year.airports.set_index("faa")["tzone"].to_dict() | dict.fromkeys(("SJU", "BQN", "PSE", "STT"), ATLANTIC)
    landed = [
        instant.astimezone(ZoneInfo(zones[dest]))
        for instant, dest in zip(utc(sample["landed"]), sample["dest"], strict=True)
    ]
    assert [at.hour * 100 + at.minute for at in landed] == [int(hhmm) % 2400 for hhmm in actual["arr_time"]]
    elapsed = (sample["landed"] - sample["departed"]).dt.total_seconds().to_numpy() / 60
    on_the_ground = elapsed - actual["air_time"].to_numpy()
    assert on_the_ground.min() > 0
    assert on_the_ground.max() < 240


def test_calendar_is_new_yorks_on_the_last_evening_of_a_month(flights: pd.DataFrame) -> None:
    evening = flights[flights["scheduled_departure"].dt.strftime("%Y-%m") != flights["local_month"]]
    assert len(evening) > 300
    local = [instant.astimezone(ZoneInfo("America/New_York")) for instant in utc(evening["scheduled_departure"])]
    assert evening["local_month"].tolist() == [f"{at:%Y-%m}" for at in local]
    assert evening["day_of_week"].tolist() == [at.isoweekday() for at in local]
    assert evening["sched_dep_minute"].tolist() == [at.hour * 60 + at.minute for at in local]
    assert evening["flight_id"].str[:13].tolist() == [f"{at:%Y%m%d-%H%M}" for at in local]


def test_half_past_eleven_on_the_thirtieth_of_june_is_june(raw: pd.DataFrame) -> None:
    late_evening = raw.head(1).assign(month=6, day=30, sched_dep_time=2330, time_hour="2013-07-01T03:00:00Z", minute=30)
    row = cleaning.schedule(late_evening).iloc[0]
    assert row["local_month"] == "2013-06"
    assert row["day_of_week"] == 7
    assert row["sched_dep_minute"] == 23 * 60 + 30
    assert row["scheduled_departure"] == pd.Timestamp("2013-07-01 03:30")


def test_a_landing_before_it_can_have_happened_is_moved_and_counted(raw: pd.DataFrame) -> None:
    frame = cleaning.schedule(raw.head(2).assign(arr_delay=[-500.0, 11.0]))
    frame["scheduled_arrival"] = frame["scheduled_departure"] + pd.Timedelta(hours=4)
    assert cleaning.actual(frame) == 1
    possible = frame["departed"] + clock.minutes(frame["air_time"])
    assert (frame["landed"] >= possible).all()
    assert (frame["landed"] == possible).sum() == 1


def test_keep_every_thins_in_order_of_departure(year: source.Source, flights: pd.DataFrame) -> None:
    thin, counts = cleaning.flights(year, keep_every=50)
    assert list(thin["flight_id"]) == list(flights["flight_id"][::50])
    assert counts.rows_read == counts.rows_kept + counts.rows_not_sampled == len(flights)
    ordered = flights.sort_values(["scheduled_departure", "flight_id"], kind="stable")
    assert (ordered.index == np.arange(len(flights))).all()


def test_weather_counts_from_the_end_of_the_hour_that_the_source_names(ingested: Workspace) -> None:
    """An observation of "12:00" was made by 12:51: it may not be known at 12:00."""
    weather = parquet.read(ingested.ingested / "weather.parquet").to_pandas()
    first = weather[weather["origin"] == "EWR"].iloc[0]
    assert first["observed"] == pd.Timestamp("2013-01-01 07:00")  # the source says 06:00
    assert first["temp"] == 39.02
