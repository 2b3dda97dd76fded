"""One row a request and model, arrays as bytes, labels as facts that are only added; tables for roles and results.

What version 1 holds is moved, every row of it, in the same transaction.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from monitoring.log.migrations.renewing import move

revision: Final = "2"
down_revision: Final = "1"


def upgrade() -> None:
    """Make the new tables, fill them from the old ones, drop those."""
    for table in ("predictions", "labels"):
        op.rename_table(table, f"{table}_1")
    _make_predictions()
    _make_labels()
    _make_roles()
    _make_results()
    if op.get_context().dialect.name == "postgresql":
        for table in ("predictions", "labels"):
            op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
        for column in ("numeric", "score"):  # floats do not compress: do not try
            op.execute(f'ALTER TABLE predictions ALTER COLUMN "{column}" SET STORAGE EXTERNAL')
    move(op.get_bind())
    for table in ("predictions", "labels"):
        op.drop_table(f"{table}_1")


def _make_predictions() -> None:
    op.create_table(
        "predictions",
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("id", sa.String(160), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("received_us", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("first_row", sa.Integer, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("schema_hash", sa.String(64), nullable=False),
        sa.Column("format", sa.SmallInteger, nullable=False),
        sa.Column("protocol", sa.String(8), nullable=False),
        sa.Column("caller", sa.String(128), nullable=False),
        sa.Column("event_us", sa.BigInteger, nullable=False),
        sa.Column("duration_us", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("numeric", sa.LargeBinary, nullable=False),
        sa.Column("category", sa.LargeBinary, nullable=False),
        sa.Column("score", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("day", "id", "digest", name="predictions_key"),
        sa.CheckConstraint("rows > 0 AND first_row >= 0", name="predictions_have_rows"),
        sa.CheckConstraint("length(score) = 4 * rows", name="predictions_have_scores"),
        sa.CheckConstraint("length(numeric) % (4 * rows) = 0", name="predictions_have_numbers"),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index("predictions_request_id", "predictions", ["request_id"])
    op.create_index("predictions_event_us", "predictions", ["event_us"])
    op.create_index("predictions_received_us", "predictions", ["received_us"])


def _make_labels() -> None:
    op.create_table(
        "labels",
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("row", sa.Integer, nullable=False),
        sa.Column("received_us", sa.BigInteger, nullable=False),
        sa.Column("id", sa.String(160), nullable=False),
        sa.Column("value", sa.Boolean, nullable=False),
        sa.Column("outcome_us", sa.BigInteger),
        sa.Column("caller", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "row", "received_us", "id", name="labels_key"),
        sa.CheckConstraint('"row" >= 0', name="labels_name_a_row"),
        postgresql_partition_by="RANGE (received_us)",
        sqlite_with_rowid=False,
    )
    op.create_index("labels_received_us", "labels", ["received_us"])


def _make_roles() -> None:
    op.create_table(
        "roles",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("base", sa.String(64), nullable=False),
        sa.Column("champion", sa.String(64), nullable=False),
        sa.Column("challenger", sa.String(64)),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("shadow", sa.String(64)),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
        sa.Column("changed_by", sa.String(128), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("roles_base", "roles", ["base", "sequence"])
    op.create_table(
        "artifacts",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "replicas",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reported_us", sa.BigInteger, nullable=False),
    )


def _make_results() -> None:
    """Of the monitor, which made them by itself before. It may make none where the log's owner is another user."""
    op.create_table(
        "monitor_reports",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("generated_at", sa.DateTime, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "monitor_pages",
        sa.Column("report_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("html", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
