"""Rain: labels by the book, no feature that knows the future, and a model that is worth more than one of its inputs."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest
from sklearn.metrics import roc_auc_score

from contracts.reports import read_report
from contracts.reports.evaluation import EvaluationReport
from contracts.reports.ingest import IngestReport
from contracts.workspace import Workspace
from pipelines import feature_windows, parquet
from pipelines.runner import run_stage
from tasks.rain import windows
from tasks.rain.schema import SCHEMA
from tasks.rain.source import MEASURED

RAIN = Path(__file__).parents[2] / "workspaces/rain"
START = datetime(2013, 7, 1)
MOMENTS = 25


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of the weather, ingested, validated and featurized."""
    folder = tmp_path_factory.mktemp("rain")
    (folder / "params.yaml").write_text((RAIN / "params.yaml").read_text(), "utf-8")
    for stage in ("parameters", "ingest", "validate", "featurize"):
        run_stage(stage, folder)
    return folder


def computed(weather: Any, forecasts: Any) -> Any:
    tables = {"weather": ibis.memtable(weather), "forecasts": ibis.memtable(forecasts)}
    with feature_windows.connection() as database:
        return feature_windows.compute(database, SCHEMA, windows.queries(tables), windows.events(tables))


def tables(root: Path) -> tuple[Any, Any]:
    folder = Workspace(root).ingested
    return parquet.read(folder / "weather.parquet"), parquet.read(folder / "forecasts.parquet")


def labels(rain: list[float | None]) -> list[tuple[bool | None, datetime | None]]:
    """Label and when it is known, for each hour's end. `rain`: inches by hour; None: the hour has no observation."""
    hours = [(START + timedelta(hours=i), inches) for i, inches in enumerate(rain) if inches is not None]
    weather = pd.DataFrame({"airport": "JFK", "observed": [t for t, _ in hours], "precip": [r for _, r in hours]})
    forecasts = pd.DataFrame({"airport": "JFK", "made_at": weather["observed"], "local_month": "2013-07"})
    forecasts["forecast_id"] = forecasts["made_at"].astype(str)
    table = computed(weather.assign(**dict.fromkeys(MEASURED, 1.0)), forecasts)
    return list(zip(table["label"].to_pylist(), table["outcome_at"].to_pylist(), strict=True))


def test_the_label_is_rain_in_one_of_the_three_hours_after() -> None:
    dry = [0.0] * 4
    found = labels([*dry, 0.01, *dry])
    assert [label for label, _ in found[:6]] == [False, True, True, True, False, False]
    assert found[0][1] == START + timedelta(hours=3)


def test_the_last_hours_have_no_label_unless_it_already_rained() -> None:
    assert [label for label, _ in labels([0, 0, 0, 0, 0])] == [False, False, None, None, None]
    assert [label for label, _ in labels([0, 0, 0, 0.2])] == [True, True, True, None]


def test_a_missing_hour_is_dry_for_nobody() -> None:
    """Rain in another of the three still is rain."""
    found = labels([0, 0, None, 0, 0, 0, 0])
    assert [label for label, _ in found] == [None, None, False, None, None, None]
    assert {at for label, at in found if label is None} == {None}
    assert [label for label, _ in labels([0, 0, None, 0.1, 0, 0, 0])][:2] == [True, True]


def test_ingest_tells_what_it_did(root: Path) -> None:
    report = read_report(Workspace(root).report("ingest"), IngestReport)
    weather = report.tables["weather"]
    assert (weather.rows_kept, weather.marked_missing) == (26_115, {"wind_speed": 1})  # a wind of 1048 mph
    weather_table, _ = tables(root)
    assert pc.max(weather_table["wind_speed"]).as_py() < 60
    assert set(report.source_sha256) == {"weather.csv"}


def test_features_of_data_cut_at_a_moment_are_the_same_bits(root: Path) -> None:
    """At random moments all weather after them is taken away, and the forecasts of that moment are computed anew."""
    weather, forecasts = tables(root)
    whole = parquet.read(Workspace(root).features)
    every = forecasts["made_at"].unique().to_pylist()
    chosen = np.random.default_rng(20130704).choice(len(every), MOMENTS, replace=False)
    seen = {name: set[float]() for name in SCHEMA.numeric_names}
    for moment in (every[i] for i in chosen):
        known = weather.filter(pc.less_equal(weather["observed"], moment))
        again = computed(known, forecasts.filter(pc.equal(forecasts["made_at"], moment)))
        assert again["label"].null_count == again.num_rows > 0
        before = whole.filter(pc.equal(whole["predicted_at"], moment))
        assert again["row_id"].to_pylist() == before["row_id"].to_pylist()
        for name in SCHEMA.numeric_names:
            one, other = again[name].to_pandas().to_numpy(), before[name].to_pandas().to_numpy()
            assert one.dtype == np.float32
            assert np.array_equal(one.view(np.uint32)[~np.isnan(one)], other.view(np.uint32)[~np.isnan(other)]), name
            assert np.array_equal(np.isnan(one), np.isnan(other)), name
            seen[name] |= set(one[~np.isnan(one)].tolist())
    assert {name for name, values in seen.items() if len(values) < 3} == set()  # nothing agrees by being nothing


def test_features_that_know_the_next_hour_would_be_noticed(root: Path) -> None:
    weather, forecasts = tables(root)
    july = pc.and_(pc.greater_equal(forecasts["made_at"], START), pc.less(forecasts["made_at"], datetime(2013, 7, 8)))
    early = weather.set_column(1, "observed", pc.subtract(weather["observed"], timedelta(hours=1)))
    leaking = computed(early, forecasts.filter(july))
    whole = parquet.read(Workspace(root).features)
    whole = whole.filter(pc.is_in(whole["row_id"], leaking["row_id"]))
    assert {name for name in SCHEMA.numeric_names if leaking[name].equals(whole[name])} == set()


def test_values_are_those_of_the_source(root: Path) -> None:
    """A wet evening at JFK, by hand from the table of weather."""
    weather = tables(root)[0].to_pandas()
    here = weather[weather["airport"] == "JFK"].set_index("observed")
    made = parquet.read(Workspace(root).features).to_pandas().set_index("row_id")
    at = here.index[(here["precip"] > 0.05) & (here.index > START)][0]
    row, hours = made.loc[f"JFK-{at:%Y%m%dT%H%MZ}"], here.loc[:at]
    assert row["precip_6h"] == pytest.approx(hours["precip"].iloc[-6:].sum(), abs=1e-6)
    assert row["rainy_share_24h"] == pytest.approx((hours["precip"].iloc[-24:] > 0).mean(), abs=1e-6)
    assert row["humid_change_3h"] == pytest.approx(hours["humid"].iloc[-1] - hours["humid"].iloc[-4], abs=1e-4)
    assert row["rainy_airports_1h"] == pytest.approx((weather[weather["observed"] == at]["precip"] > 0).mean())
    assert row["predicted_at"] == at
    assert row["outcome_at"] == at + pd.Timedelta(hours=3)


def test_the_model_is_worth_more_than_humidity_alone(root: Path) -> None:
    """Each month after training, by the report of the real run that is kept in git."""
    report = read_report(Workspace(RAIN).report("evaluation"), EvaluationReport)
    table = parquet.read(Workspace(root).features).to_pandas().dropna(subset=["label"])
    assert len(report.months) == 6
    for month in report.months:
        rows = table[table["month"] == month.month]
        assert len(rows) == month.rows
        humidity = roc_auc_score(rows["label"].astype(bool), rows["humid"].fillna(rows["humid"].median()))
        assert month.auc is not None
        assert 0.75 < humidity < month.auc
