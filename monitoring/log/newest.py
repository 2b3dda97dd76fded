"""What the prediction log's newest rows say, without reading them all."""

from datetime import datetime

import sqlalchemy as sa

from monitoring.log.reader import ANSWERS, ask_log
from monitoring.log.schema import PREDICTIONS, from_us, to_us

_p = PREDICTIONS.c


def newest_models(database_url: str, requests: int) -> set[str]:
    """Digests of the models that answered the newest requests, by arrival. Empty: the log is.

    Raises:
        DataError: there is no prediction log of this version at this address.
    """
    newest = sa.select(_p.digest).where(_p.role.in_(ANSWERS)).order_by(_p.received_us.desc()).limit(requests)
    return set(ask_log(database_url, lambda connection: connection.scalars(newest).all()))


def newest_before(database_url: str, moment: datetime) -> datetime | None:
    """The last `event_time` before `moment`; None: there is none.

    Raises:
        DataError: there is no prediction log of this version at this address.
    """
    query = sa.select(sa.func.max(_p.event_us)).where(_p.event_us < to_us(moment), _p.role.in_(ANSWERS))
    found: int | None = ask_log(database_url, lambda connection: connection.scalar(query))
    return None if found is None else from_us(found)


def newest_arrival(connection: sa.Connection) -> datetime | None:
    """When the newest prediction arrived; None: the log is empty."""
    found = connection.scalar(sa.select(sa.func.max(_p.received_us)))
    return None if found is None else from_us(found)
