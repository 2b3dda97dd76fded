"""Stage `featurize`: every feature of the task's schema, one definition each, for training, replay and labels.

A prediction sees only what was known at its `predicted_at`: columns of the task's queries, and windows of its events
that end there or earlier.
"""

import logging

import ibis
import pandas as pd

from contracts.reports import write_report
from contracts.reports.features import FeatureMonth, FeaturesReport
from contracts.schema import Schema
from contracts.tables import feature_table
from contracts.workspace import Workspace
from pipelines import feature_windows, parquet
from tasks import load_schema, load_windows
from tasks.zones import month

logger = logging.getLogger(__name__)


def main(workspace: Workspace, *, task: str) -> None:
    """Write data/features.parquet.

    Raises:
        ContractViolation: a feature outside its contract, or a column that the task does not make.
        DataError: an ingested table is missing or unreadable.
    """
    schema, windows = load_schema(task), load_windows(task)
    tables = {path.stem: ibis.memtable(parquet.read(path)) for path in sorted(workspace.ingested.glob("*.parquet"))}
    with feature_windows.connection() as database:
        logger.info("Computing %d features", len(schema.features))
        table = feature_windows.compute(database, schema, windows.queries(tables), windows.events(tables))
    check(table, schema, task)
    parquet.write(workspace.features, table)
    report = summary(table, schema)
    write_report(workspace.report("features"), report)
    logger.info("Features: %d rows, %d of them labelled", report.rows, report.labelled)


def check(table: parquet.ArrowTable, schema: Schema, task: str) -> None:
    """Columns, the bounds of every feature, and the calendar.

    Raises:
        ContractViolation: names feature, number of rows and bounds.
    """
    hint = f"mend the data in tasks/{task}/cleaning.py, or the bounds in tasks/{task}/schema.py"
    parquet.check("features", table, feature_table(schema), hint)
    about = table["predicted_at"].to_pandas() + pd.Timedelta(minutes=schema.calendar.horizon_minutes)
    wrong = int((month(about, schema.calendar.time_zone) != table["month"].to_pandas()).sum())
    if wrong:
        rule = f"the month of `predicted_at` plus the horizon, in {schema.calendar.time_zone}"
        raise parquet.violation(
            "features", "month", rule, f"{wrong} rows of another", f"correct tasks/{task}/windows.py"
        )


def summary(table: parquet.ArrowTable, schema: Schema) -> FeaturesReport:
    """Rows and labels by month, and the share of missing values by feature."""
    counts = table.group_by("month").aggregate([([], "count_all"), ("label", "count"), ("label", "sum")])
    months = [
        FeatureMonth(
            month["month"],
            month["count_all"],
            month["label_count"],
            round(month["label_sum"] / month["label_count"], 6) if month["label_count"] else None,
        )
        for month in counts.sort_by("month").to_pylist()
    ]
    missing = {name: round(table[name].null_count / table.num_rows, 6) for name in schema.numeric_names}
    labelled = table.num_rows - table["label"].null_count
    return FeaturesReport(1, table.num_rows, labelled, months, missing)
