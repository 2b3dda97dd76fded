"""Reads the prediction log, rows joined with their labels, into arrays."""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from contracts.errors import DataError, Unavailable
from contracts.schema import Schema
from monitoring.log.database import asked, opened
from monitoring.log.rows.decoding import Decoder, Origins, Requests, Width
from monitoring.log.rows.fetching import fetch
from monitoring.log.rows.joining import Answers, Labels, group
from monitoring.log.schema import LABELS, PREDICTIONS, to_us

ANSWERS: Final = ("champion", "challenger")  # roles whose scores somebody got; a shadow's are for the log alone
_IDS: Final = 500  # of a question
_LOOK: Final = 2_000  # requests whose origins are looked at first
_p: Final = PREDICTIONS.c


@dataclass(frozen=True, slots=True)
class Predictions:
    """Logged rows and their labels, by `event_time`, then arrival. Instants are UTC.

    Rows that another schema's width left out are counted in `other_inputs`, and are in no array.
    """

    request_id: NDArray[np.object_]  # [n] of str
    digest: NDArray[np.object_]  # [n] of str
    role: NDArray[np.object_]  # [n] of str
    protocol: NDArray[np.object_]  # [n] of str
    event_time: NDArray[np.datetime64]  # [n], microseconds, the caller's clock
    received_at: NDArray[np.datetime64]  # [n], microseconds, the service's clock
    numeric: NDArray[np.float32]  # [n, numbers of the schema], NaN is missing
    category: NDArray[np.object_]  # [n, categories of the schema] of str
    score: NDArray[np.float64]  # [n]
    label: NDArray[np.float64]  # [n], 0 or 1, the newest that was told; NaN: none yet
    duration_us: NDArray[np.int64]  # [n]
    other_inputs: int
    repeated_ids: int  # requests under an id that a later one has, too: a label counts for the newest


def read_predictions(
    database_url: str,
    first: datetime,
    last: datetime,
    schema: Schema | None = None,
    roles: Iterable[str] = ANSWERS,
) -> Predictions:
    """Rows with `first <= event_time < last` (UTC without a zone).

    Args:
        schema: rows of models with another number of features are left out and counted; None: there may be none.
        roles: of the models whose rows are wanted.

    Raises:
        DataError: there is no prediction log of this version at this address, or rows of several schemas where one is
            expected.
    """
    chosen = _p.role.in_(tuple(roles)) & (_p.event_us >= to_us(first)) & (_p.event_us < to_us(last))
    return read_where(database_url, lambda query: query.where(chosen), schema)


def read_newest(database_url: str, digest: str, since: datetime, rows: int, schema: Schema) -> Predictions:
    """The `rows` newest that this model answered, by arrival, none that arrived before `since` (UTC without a zone).

    Raises:
        DataError: there is no prediction log of this version at this address.
    """
    chosen = _p.role.in_(ANSWERS) & (_p.digest == digest) & (_p.received_us >= to_us(since))
    order = (_p.received_us.desc(), _p.id)
    return read_where(database_url, lambda query: query.where(chosen).order_by(*order).limit(rows), schema, rows)


def ask_log(database_url: str, ask: Callable[[sa.Connection], Any]) -> Any:
    """One question, in a transaction of its own.

    Raises:
        DataError: there is no prediction log of this version at this address.
    """
    with opened(database_url) as engine:
        try:
            with asked(engine) as connection:
                return ask(connection)
        except Unavailable as error:
            raise DataError(str(error)) from error


def read_where(
    database_url: str,
    choose: Callable[[sa.Select[Any]], sa.Select[Any]],
    schema: Schema | None,
    limit: int | None = None,
) -> Predictions:
    """Rows of the requests that `choose` leaves of all, which it gets as a query.

    Args:
        schema: as `read_predictions` takes it.
        limit: of the rows, in the order of the query; None: all.

    Raises:
        DataError: there is no prediction log of this version at this address.
    """
    width = None if schema is None else Width(len(schema.numeric), len(schema.category))

    def ask(connection: sa.Connection) -> tuple[Requests, Labels, int, int]:
        some = choose(sa.select(_p.digest, _p.role, _p.protocol)).limit(_LOOK)
        origins = Origins((digest, role, protocol) for digest, role, protocol in connection.execute(some))
        decoder = Decoder(width, origins)
        with closing(fetch(connection, choose(origins.select()))) as parts:
            for columns in parts:
                decoder.add(columns)
                if limit is not None and decoder.rows >= limit:
                    break
        requests = decoder.requests()
        groups = group(requests)
        labels = Labels(len(requests.score), groups)
        _read_labels(connection, labels, choose(sa.select(_p.request_id)).subquery(), len(requests.rows), groups)
        return requests, labels, decoder.other_rows, groups[0].repeated

    with _without_collections():
        requests, labels, other, repeated = ask_log(database_url, ask)
        return _as_rows(requests, labels.found, other, repeated, limit)


def _read_labels(
    connection: sa.Connection, labels: Labels, chosen: sa.Subquery, requests: int, groups: Sequence[Answers]
) -> None:
    """Those of the chosen requests. Where most labels are theirs, all are read: that is faster than to look each up."""
    la = LABELS.c
    query = sa.select(la.request_id, la.row, la.received_us, la.value)
    some = sa.select(la.row).limit(2 * requests + 1).subquery()
    if (connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0) > 2 * requests:
        if len(groups) > 1 or groups[0].repeated:  # a join would give the labels of such an id several times
            query = query.where(la.request_id.in_(sa.select(chosen.c.request_id)))
        else:
            query = query.join_from(chosen, LABELS, chosen.c.request_id == la.request_id)
    disputed = iter(sorted(labels.read(fetch(connection, query))))
    while batch := list(islice(disputed, _IDS)):
        of_batch = sa.select(la.request_id, la.row, la.value).where(la.request_id.in_(batch))
        labels.settle(tuple(row) for row in connection.execute(of_batch.order_by(la.received_us, la.id)))


def _as_rows(
    requests: Requests, label: NDArray[np.float64], other_inputs: int, repeated_ids: int, limit: int | None
) -> Predictions:
    """
    Args:
        limit: of the rows, in the order of the requests; None: all.
    """
    rows, start = requests.rows, np.cumsum(requests.rows) - requests.rows
    order = np.lexsort((requests.received_us, requests.event_us))
    request = np.repeat(order, rows[order])
    row = np.arange(len(request)) - np.repeat(np.cumsum(rows[order]) - rows[order] - start[order], rows[order])
    if limit is not None:
        request, row = request[row < limit], row[row < limit]
    sorted_already = len(row) == len(label) and bool((np.diff(row) == 1).all())
    at = slice(None) if sorted_already else row  # no copy of what is the most of it
    origin = requests.origin[request]
    origins = list(zip(*requests.origins, strict=True)) or [()] * 3
    digest, role, protocol = (np.array(column, object)[origin] for column in origins)
    return Predictions(
        request_id=np.array(requests.request_id, object)[request],
        digest=digest,
        role=role,
        protocol=protocol,
        event_time=requests.event_us[request].astype("datetime64[us]"),
        received_at=requests.received_us[request].astype("datetime64[us]"),
        numeric=requests.numeric[at],
        category=requests.category[at],
        score=requests.score[at].astype(np.float64),
        label=label[at],
        duration_us=requests.duration_us[request],
        other_inputs=other_inputs,
        repeated_ids=repeated_ids,
    )


@contextmanager
def _without_collections() -> Iterator[None]:
    """No search for cycles while millions of values that are in none are made: it would take half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
