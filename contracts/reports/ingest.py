"""reports/ingest.json: what was read, and what was done to it."""

from typing import Literal

from msgspec import field

from contracts.reports import Part


class TableIngest(Part, frozen=True, kw_only=True):
    """What happened to the rows of one table.

    Attributes:
        rows_not_sampled: left out by `keep_every`.
        rows_dropped: column -> rows that it is the first to blame for.
        repaired: name of a repair -> rows.
        marked_missing: column -> values outside its bounds that became missing.
        counts: what else the task tells, by name.
    """

    rows_read: int
    rows_not_sampled: int = 0
    rows_dropped: dict[str, int]
    rows_kept: int
    repaired: dict[str, int] = field(default_factory=dict)
    marked_missing: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class IngestReport(Part, frozen=True):
    """`source_sha256`: file name of the source -> hash."""

    format: Literal[1]
    keep_every: int
    source_sha256: dict[str, str]
    tables: dict[str, TableIngest]
