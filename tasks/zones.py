"""Instants and the calendar of a time zone. The machine's own zone plays no part; instants are UTC without a zone."""

from datetime import date

import numpy as np
import pandas as pd


def local(instant: "pd.Series[pd.Timestamp]", zone: str) -> "pd.Series[pd.Timestamp]":
    """What a clock in `zone` shows at these UTC instants; neither side carries a zone."""
    return instant.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)


def month(instant: "pd.Series[pd.Timestamp]", zone: str) -> "pd.Series[str]":
    """The month in `zone` of these UTC instants.

    >>> month(pd.Series([pd.Timestamp("2013-07-01 03:59")]), "America/New_York").tolist()
    ['2013-06']
    """
    return local(instant, zone).dt.strftime("%Y-%m")


def midnight(day: date, zone: str) -> np.datetime64:
    """The UTC instant at which this day begins in `zone`.

    >>> str(midnight(date(2013, 7, 1), "America/New_York"))[:16]
    '2013-07-01T04:00'
    """
    return pd.Timestamp(day).tz_localize(zone).tz_convert("UTC").tz_localize(None).to_datetime64()
