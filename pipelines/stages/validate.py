"""Stage `validate`: the ingested tables keep their contracts, column by column and against each other."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow.compute as pc

from contracts.files import write_json
from contracts.params import Params
from contracts.tables import TABLES
from pipelines import parquet
from tasks.flights import clock

logger = logging.getLogger(__name__)

INPUT: Final = "data/ingested"
REPORT: Final = "reports/validation.json"
KEYS: Final = {"flights": ["flight_id"], "weather": ["origin", "observed"], "planes": ["tailnum"]}
_HINT: Final = "mend the data in pipelines/stages/ingest.py, or the rule in contracts/tables.py"


def main(root: Path, params: Params) -> None:  # noqa: ARG001 - a stage's signature; a contract leaves no choice
    """
    Raises:
        ContractViolation: names table, column, number of rows and rule of the first breach.
        DataError: a table is missing or unreadable.
    """
    found = {name: parquet.read(root / INPUT / f"{name}.parquet") for name in TABLES}
    for name, columns in TABLES.items():
        parquet.check(name, found[name], columns, KEYS[name], _HINT)
        _check_minutes(name, found[name])
    frame = found["flights"].to_pandas()
    rules = ["every instant must be a whole minute"]
    for column, rule, broken in flight_rules(frame):
        if broken.any():
            example = frame.loc[broken, "flight_id"].iloc[0]
            raise parquet.violation(
                "flights", column, rule, f"{int(broken.sum())} rows that break it ({example})", _HINT
            )
        rules.append(f"`flights.{column}` must be {rule}")
    _check_origins(frame, found["weather"].to_pandas())
    rules.append("`flights.origin` must be an airport with weather")
    report = {name: {"rows": t.num_rows, "columns": t.num_columns, "key": KEYS[name]} for name, t in found.items()}
    write_json(root / REPORT, {"tables": report, "rules_between_columns": rules, "violations": 0})
    logger.info("Valid: %s", ", ".join(f"{t.num_rows} {name}" for name, t in found.items()))


def flight_rules(flights: pd.DataFrame) -> Iterator[tuple[str, str, "pd.Series[bool]"]]:
    """What must hold between the columns of a flight: column, rule, where it is broken."""
    scheduled, departed, landed = flights["scheduled_departure"], flights["departed"], flights["landed"]
    yield "scheduled_arrival", "after scheduled_departure", flights["scheduled_arrival"] <= scheduled
    yield "landed", "after departed", landed <= departed
    yield "landed", "missing when departed is", departed.isna() & landed.notna()
    yield "dep_delay", "missing just when departed is", flights["dep_delay"].isna() != departed.isna()
    yield "arr_delay", "missing just when landed is", flights["arr_delay"].isna() != landed.isna()
    late = departed - scheduled != clock.minutes(flights["dep_delay"])
    yield "dep_delay", "departed less scheduled_departure", departed.notna() & late
    local = clock.local(scheduled, clock.NEW_YORK)
    yield "local_month", "New York's month", local.dt.strftime("%Y-%m") != flights["local_month"]
    yield "day_of_week", "New York's day", local.dt.dayofweek + 1 != flights["day_of_week"]
    yield "sched_dep_minute", "New York's minute", local.dt.hour * 60 + local.dt.minute != flights["sched_dep_minute"]


def _check_minutes(name: str, table: parquet.Table) -> None:
    """Rolling features count in whole minutes: a later second of the cutoff's minute would slip in."""
    for column in TABLES[name]:
        if column.dtype == "timestamp":
            instant = table[column.name]
            broken = pc.sum(pc.not_equal(instant, pc.floor_temporal(instant, unit="minute"))).as_py()
            if broken:
                raise parquet.violation(name, column.name, "a whole minute", f"{broken} rows that are not", _HINT)


def _check_origins(flights: pd.DataFrame, weather: pd.DataFrame) -> None:
    unknown = ~flights["origin"].isin(weather["origin"].unique())
    if unknown.any():
        names = ", ".join(sorted(set(flights.loc[unknown, "origin"])))
        raise parquet.violation(
            "flights", "origin", "an airport with weather", f"{int(unknown.sum())} rows from {names}", _HINT
        )
