"""Stage `validate`: the ingested tables keep their contracts, column by column and against each other."""

import logging
from typing import Any

import pyarrow.compute as pc

from contracts.reports import write_report
from contracts.reports.validation import ValidationReport, ValidTable
from contracts.tables import Table
from contracts.workspace import Workspace
from pipelines import parquet
from tasks import Rule, load_cleaning

logger = logging.getLogger(__name__)


def main(workspace: Workspace, *, task: str) -> None:
    """Write reports/validation.json, or refuse the tables.

    Raises:
        ContractViolation: names table, column, number of rows and rule of the first breach.
        DataError: a table is missing or unreadable.
    """
    cleaning = load_cleaning(task)
    tables = cleaning.TABLES
    hint = f"mend the data or the rule in tasks/{task}/cleaning.py"
    found = {name: parquet.read(workspace.ingested / f"{name}.parquet") for name in tables}
    for name, table in tables.items():
        parquet.check(name, found[name], table, hint)
        _check_minutes(name, found[name], table, hint)
    rules = ["every instant must be a whole minute"]
    for rule in cleaning.rules({name: table.to_pandas() for name, table in found.items()}):
        _check_rule(rule, found[rule.table], tables[rule.table], hint)
        rules.append(f"`{rule.table}.{rule.column}` must be {rule.rule}")
    valid = {n: ValidTable(t.num_rows, t.num_columns, list(tables[n].key)) for n, t in found.items()}
    write_report(workspace.report("validation"), ValidationReport(1, valid, rules, violations=0))
    logger.info("Valid: %s", ", ".join(f"{t.num_rows} {name}" for name, t in found.items()))


def _check_rule(rule: Rule, table: Any, contract: Table, hint: str) -> None:
    broken = rule.broken.to_numpy()
    if not broken.any():
        return
    example = rule.example
    if example is None:
        row = int(broken.argmax())
        example = f"that break it ({', '.join(str(table[name][row].as_py()) for name in contract.key)})"
    raise parquet.violation(rule.table, rule.column, rule.rule, f"{int(broken.sum())} rows {example}", hint)


def _check_minutes(name: str, table: Any, contract: Table, hint: str) -> None:
    """Windows count in whole minutes: a later second of the cutoff's minute would slip in."""
    for column in contract.columns:
        if column.dtype == "timestamp":
            instant = table[column.name]
            broken = pc.sum(pc.not_equal(instant, pc.floor_temporal(instant, unit="minute"))).as_py()
            if broken:
                raise parquet.violation(name, column.name, "a whole minute", f"{broken} rows that are not", hint)
