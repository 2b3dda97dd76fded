"""Tables beside the log that the monitor fills with what it makes of it. All of it can be made again from the log, so
they are of no version: who may make tables makes them, and the log's owner makes them for a monitor that may not.
"""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()
HOURS: Final = sa.Table(
    "monitor_hours",
    METADATA,
    sa.Column("clock", sa.String(8), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(16), primary_key=True),
    sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),  # since 1970, UTC
    sa.Column("requests", sa.Integer, nullable=False),  # that the log held when it was counted
    sa.Column("payload", sa.LargeBinary, nullable=False),
)
# How many labels arrived in an hour when they were last looked at: another number names hours to be counted again.
LABEL_HOURS: Final = sa.Table(
    "monitor_label_hours",
    METADATA,
    sa.Column("clock", sa.String(8), primary_key=True),
    sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("labels", sa.Integer, nullable=False),
)
LEASES: Final = sa.Table(
    "monitor_leases",
    METADATA,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("holder", sa.String(36), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),  # seconds since 1970
)
REFITS: Final = sa.Table(
    "monitor_challengers",
    METADATA,
    sa.Column("scorer", sa.String(64), primary_key=True),  # sha256 of the scorer.onnx that it was grown on
    sa.Column("clock", sa.String(8), primary_key=True),
    sa.Column("from_hour", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("trees", sa.Text, nullable=False),  # LightGBM's text
)
