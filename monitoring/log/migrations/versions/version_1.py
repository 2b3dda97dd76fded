"""The tables of release 0.2: one row a row of features, arrays as JSON. They noted no version."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "1"
down_revision: Final = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "predictions",
        sa.Column("request_id", sa.String(128), primary_key=True),
        sa.Column("row", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("protocol", sa.String(8), nullable=False),
        sa.Column("event_time", sa.DateTime, nullable=False, index=True),
        sa.Column("received_at", sa.DateTime, nullable=False, index=True),
        sa.Column("duration_us", sa.BigInteger, nullable=False),
        sa.Column("numeric", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
    )
    op.create_table(
        "labels",
        sa.Column("request_id", sa.String(128), primary_key=True),
        sa.Column("row", sa.Integer, primary_key=True),
        sa.Column("value", sa.Boolean, nullable=False),
        sa.Column("outcome_at", sa.DateTime),
        sa.Column("received_at", sa.DateTime, nullable=False),
    )
