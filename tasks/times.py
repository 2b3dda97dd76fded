"""Times as a source writes them, as instants. The machine's own zone plays no part."""

import numpy as np
import pandas as pd

from contracts.errors import DataError


def utc(clock: "pd.Series[str]", zone: str) -> "pd.Series[pd.Timestamp]":
    """Instants of times as text, in UTC; missing stays missing.

    Args:
        clock: ISO 8601. A time with an offset is an instant; one without is what a clock in `zone` shows: the first
            pass of an hour that it shows twice, the moment of the skip for one that it skips.

    Raises:
        DataError: names the first text that is no such time.

    >>> utc(pd.Series(["2013-07-01T06:00", "2013-07-01T06:00+02:00", None]), "America/New_York").astype(str).tolist()
    ['2013-07-01 10:00:00', '2013-07-01 04:00:00', 'NaT']
    """
    text = clock.astype("string")
    offset = text.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", na=False)
    absolute = pd.to_datetime(text.where(offset), format="ISO8601", utc=True, errors="coerce")
    shown = pd.to_datetime(text.mask(offset), format="ISO8601", errors="coerce")
    first_pass = np.ones(len(shown), bool)
    placed = shown.dt.tz_localize(zone, ambiguous=first_pass, nonexistent="shift_forward").dt.tz_convert("UTC")
    instant = absolute.fillna(placed).dt.tz_localize(None)
    wrong = instant.isna() & text.notna()
    if wrong.any():
        raise DataError(
            f"`{clock.name}` must be times as ISO 8601 writes them, got {text[wrong].iloc[0]!r} in row "
            f"{int(wrong.to_numpy().argmax()) + 1}; write 2013-07-01T06:00, or 2013-07-01T10:00Z with an offset"
        )
    return instant
