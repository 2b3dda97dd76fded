"""Grafana's units, as text: the few that the dashboards use."""

import math
from datetime import UTC, datetime
from typing import Final

SUFFIX: Final = "suffix:"  # what follows is written behind the value
UNITS: Final = ("short", "none", "percentunit", "s", "reqps", "rowsps", "bytes", "dateTimeAsIso")
_SHORT: Final = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_BYTES: Final = ((2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"), (1.0, " B"))
_TIME: Final = (
    (604_800.0, " week"),
    (86_400.0, " day"),
    (3_600.0, " hour"),
    (60.0, " min"),
    (1.0, " s"),
    (1e-3, " ms"),
    (1e-6, " µs"),
)


def formatted(value: float, unit: str, decimals: int | None = None) -> str:
    """A value in a unit of Grafana's, for people.

    Args:
        decimals: None chooses three significant digits.
    """
    if not math.isfinite(value):
        return "No data"
    if unit == "dateTimeAsIso":  # milliseconds
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    if unit == "percentunit":
        return _digits(value * 100, decimals) + "%"
    if unit == "s":
        size, name = next((pair for pair in _TIME if abs(value) >= pair[0]), (1.0, " s"))
        text = _digits(value / size, decimals)
        return text + name + ("s" if size >= 60 and text != "1" else "")
    if unit == "bytes":
        size, name = next((pair for pair in _BYTES if abs(value) >= pair[0]), (1.0, " B"))
        return _digits(value / size, decimals) + name
    if unit.startswith(SUFFIX):
        return _digits(value, decimals) + unit.removeprefix(SUFFIX)
    tail = {"reqps": " req/s", "rowsps": " rows/s"}.get(unit, "")
    size, name = next((pair for pair in _SHORT if abs(value) >= pair[0]), (1.0, ""))
    return _digits(value / size, decimals) + name + tail


def _digits(value: float, decimals: int | None) -> str:
    if decimals is None:
        digits = 2 - math.floor(math.log10(abs(value))) if value else 0
        text = f"{value:.{min(max(digits, 0), 6)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.{decimals}f}"


def ticks(low: float, high: float, unit: str) -> list[float]:
    """About five round places for an axis: whole hours, where hours are its unit."""
    size = next((pair[0] for pair in _TIME if high >= pair[0]), 1.0) if unit == "s" else 1.0
    rough = max(high - low, 1e-12) / size / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999) * size
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def clock(first: float, last: float) -> list[float]:
    """About six round instants between two, in seconds since 1970."""
    steps = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
    step = next((step for step in steps if (last - first) / step <= 6), 86_400)
    return [float(step * number) for number in range(math.ceil(first / step), math.floor(last / step) + 1)]
