"""The database of the prediction log, version 2: its tables. `monitoring.log.migrations` makes them.

One row of `predictions` is one request as one model answered it: all its rows of features as bytes, as the service
wrote them into the spool. A request that a shadow scored, too, stands there twice, under one id. `labels` are facts
that are only ever added: what came later about the same row counts, what came first stays beside it.

All instants are integers, microseconds since 1970, UTC. PostgreSQL parts both tables by the day of arrival, the
service's clock, so that a day is dropped at once. A request that came twice under one id of ours is one row: `day`
stands in the key instead of `received_us`, because PostgreSQL wants in it what it parts by.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

VERSION: Final = "2"  # the newest revision in monitoring/log/migrations/versions/
FORMAT: Final = 2  # of the bytes in a row: float32 and NUL-separated UTF-8, as monitoring.spool.frames says
DAY_US: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1)

METADATA: Final = sa.MetaData()

PREDICTIONS: Final = sa.Table(
    "predictions",
    METADATA,
    sa.Column("day", sa.Integer, nullable=False),  # of `received_us`: days since 1970
    sa.Column("id", sa.String(160), nullable=False),  # ours, unique
    sa.Column("digest", sa.String(64), nullable=False),  # of the model
    sa.Column("received_us", sa.BigInteger, nullable=False),
    sa.Column("request_id", sa.String(128), nullable=False),  # what labels name
    sa.Column("first_row", sa.Integer, nullable=False),  # number of its first row; only version 1 left others than 0
    sa.Column("role", sa.String(16), nullable=False),  # "champion", "challenger" or "shadow"
    sa.Column("schema_hash", sa.String(64), nullable=False),  # "": version 1 did not note it
    sa.Column("format", sa.SmallInteger, nullable=False),  # of the bytes below
    sa.Column("protocol", sa.String(8), nullable=False),
    sa.Column("caller", sa.String(128), nullable=False),  # name of the token; "": none was asked for
    sa.Column("event_us", sa.BigInteger, nullable=False),  # the caller's clock, or the time of arrival
    sa.Column("duration_us", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("numeric", sa.LargeBinary, nullable=False),  # float32 [rows, numbers of the schema], NaN is missing
    sa.Column("category", sa.LargeBinary, nullable=False),  # UTF-8 [rows, categories], joined by NUL, "" is missing
    sa.Column("score", sa.LargeBinary, nullable=False),  # float32 [rows]
    sa.PrimaryKeyConstraint("day", "id", "digest", name="predictions_key"),
    sa.CheckConstraint("rows > 0 AND first_row >= 0", name="predictions_have_rows"),
    sa.CheckConstraint("length(score) = 4 * rows", name="predictions_have_scores"),
    sa.CheckConstraint("length(numeric) % (4 * rows) = 0", name="predictions_have_numbers"),
    sa.Index("predictions_request_id", "request_id"),
    sa.Index("predictions_event_us", "event_us"),
    sa.Index("predictions_received_us", "received_us"),
    postgresql_partition_by="RANGE (day)",
)
LABELS: Final = sa.Table(
    "labels",
    METADATA,
    sa.Column("request_id", sa.String(128), nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("received_us", sa.BigInteger, nullable=False),
    sa.Column("id", sa.String(160), nullable=False),  # ours, unique
    sa.Column("value", sa.Boolean, nullable=False),  # whether it was the positive outcome
    sa.Column("outcome_us", sa.BigInteger),  # NULL: not told
    sa.Column("caller", sa.String(128), nullable=False),
    sa.PrimaryKeyConstraint("request_id", "row", "received_us", "id", name="labels_key"),
    sa.CheckConstraint('"row" >= 0', name="labels_name_a_row"),
    sa.Index("labels_received_us", "received_us"),
    postgresql_partition_by="RANGE (received_us)",
    sqlite_with_rowid=False,  # sorted by the row that they are about, which is how they are asked for
)
ROLES: Final = sa.Table(
    "roles",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("base", sa.String(64), nullable=False),  # the store's pointer for which it was said
    sa.Column("champion", sa.String(64), nullable=False),
    sa.Column("challenger", sa.String(64)),  # NULL: there is none, as for the shadow
    sa.Column("weight", sa.Double, nullable=False),  # share of the keys that the challenger answers
    sa.Column("shadow", sa.String(64)),
    sa.Column("changed_us", sa.BigInteger, nullable=False),
    sa.Column("changed_by", sa.String(128), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("roles_base", "base", "sequence"),
)
ARTIFACTS: Final = sa.Table(
    "artifacts",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),  # of contracts.artifact.FILES
    sa.Column("content", sa.LargeBinary, nullable=False),
)
REPLICAS: Final = sa.Table(
    "replicas",
    METADATA,
    sa.Column("name", sa.String(128), primary_key=True),  # machine and process, as its companion calls it
    sa.Column("state", sa.Text, nullable=False),  # JSON of contracts.store.state.ReplicaState
    sa.Column("reported_us", sa.BigInteger, nullable=False),
)
# Table -> the column that its days are told by, and how much of it is a day.
DAYS: Final[dict[sa.Table, tuple[sa.Column[int], int]]] = {
    PREDICTIONS: (PREDICTIONS.c.day, 1),
    LABELS: (LABELS.c.received_us, DAY_US),
}


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an instant, UTC where it has no zone."""
    plain = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return (plain - _EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """The instant, UTC without a zone."""
    return _EPOCH + timedelta(microseconds=microseconds)
