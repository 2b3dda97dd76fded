"""reports/validation.json: the tables that keep their contracts, and the rules that were looked at."""

from typing import Literal

from contracts.reports import Part


class ValidTable(Part, frozen=True):
    """A table that keeps its contract; no two rows share a `key`."""

    rows: int
    columns: int
    key: list[str]


class ValidationReport(Part, frozen=True):
    """`violations` is always 0: the first violation ends the stage, and no report is written."""

    format: Literal[1]
    tables: dict[str, ValidTable]
    rules_between_columns: list[str]
    violations: int
