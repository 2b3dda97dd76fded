"""Stage `ingest`: the task's raw files as checked tables, with every intervention counted."""

import logging
from typing import Any

import pandas as pd
import pyarrow as pa
from pydantic import Field

from contracts.errors import ContractViolation
from contracts.reports import write_report
from contracts.reports.ingest import IngestReport
from contracts.tables import Table
from contracts.workspace import Workspace
from pipelines import parquet
from pipelines.params_yaml import Section
from tasks import load_cleaning

logger = logging.getLogger(__name__)


class Parameters(Section):
    """How much of the source is read."""

    keep_every: int = Field(ge=1, description="1 keeps all predictions, n every n-th in order of time")


def main(workspace: Workspace, *, task: str, parameters: Parameters) -> None:
    """Write data/ingested, a Parquet file a table.

    Raises:
        DataError: a file of the source is missing or damaged.
        ContractViolation: the task made other columns than its tables have.
    """
    logger.info("Reading the source of %s", task)
    cleaning = load_cleaning(task)
    ingested = cleaning.ingest(parameters.keep_every)
    for name, table in cleaning.TABLES.items():
        frame = ingested.frames[name]
        parquet.write(workspace.ingested / f"{name}.parquet", _arrow(name, frame, table, task))
        logger.info("%s: %d of %d rows kept", name.capitalize(), len(frame), ingested.done[name].rows_read)
    report = IngestReport(1, parameters.keep_every, dict(ingested.source_sha256), dict(ingested.done))
    write_report(workspace.report("ingest"), report)


def _arrow(name: str, frame: pd.DataFrame, table: Table, task: str) -> Any:
    try:
        return pa.Table.from_pandas(frame, parquet.schema(table.columns), preserve_index=False)
    except (KeyError, pa.ArrowException) as error:
        raise ContractViolation(
            f"`{name}` must have the columns of its table, got: {error}; correct tasks/{task}/cleaning.py"
        ) from error
