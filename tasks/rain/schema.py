"""Rain at New York's airports: what the model may see, in which order, in which unit, within which bounds.

A forecast is made at the end of an hour, of the observations up to then. Streams of events and columns are made in
tasks/rain/windows.py.
"""

from typing import Final

from contracts.schema import Calendar, CategoricalFeature, NumericFeature, QueryColumn, Ranges, Schema, Window
from tasks.rain.words import HOURS, SUBJECT, TARGET

HOUR: Final = 60  # minutes
DAY: Final = 24 * HOUR
HERE: Final = ("airport",)
NEW_YORK: Final = "America/New_York"


def _observed(name: str, unit: str, what: str, low: float, high: float, example: float | None = None) -> NumericFeature:
    """The value of the last observation, unless older than 3 hours."""
    return NumericFeature(name, unit, what, low, high, Window("weather", name, "last", 3 * HOUR, HERE), example=example)


def _rainfall(name: str, hours: int, high: float, example: float | None = None) -> NumericFeature:
    # The source has hundredths of inches, which are summed as integers.
    window = Window("weather", "precip_hundredths", "sum", hours * HOUR, HERE, divisor=100)
    return NumericFeature(name, "inches", f"sum over the last {hours} hours", 0, high, window, example=example)


def _rainy_share(name: str, what: str, minutes: int, by: tuple[str, ...], example: float) -> NumericFeature:
    return NumericFeature(name, "share", what, 0, 1, Window("weather", "rained", "mean", minutes, by), example=example)


_NUMERIC: Final = (
    _observed("temp", "°F", "last observation", -60, 140, example=60.1),
    _observed("dewp", "°F", "dew point", -80, 110, example=55.9),
    _observed("humid", "%", "relative humidity", 0, 100, example=86),
    _observed("humid_change_3h", "%", "humidity less that of 3 hours earlier", -100, 100, example=9),
    _observed("wind_dir", "degrees", "where the wind comes from", 0, 360, example=90),
    _observed("wind_speed", "mph", "last observation", 0, 250, example=9.2),
    _observed("wind_gust", "mph", "missing when there is none", 0, 300),
    _observed("pressure", "millibar", "at sea level", 850, 1_100, example=1008.4),
    NumericFeature(
        "pressure_3h",
        "millibar",
        "at sea level, 3 hours earlier",
        850,
        1_100,
        Window("weather", "pressure", "last", HOUR, HERE, lag=3 * HOUR),
        example=1010.5,
    ),
    _observed("pressure_change_3h", "millibar", "pressure less that of 3 hours earlier", -100, 100, example=-2.1),
    _observed("visib", "miles", "capped at 10", 0, 100, example=7),
    NumericFeature(
        "precip_1h",
        "inches",
        "in the last hour",
        0,
        20,
        Window("weather", "precip_hundredths", "sum", HOUR, HERE, divisor=100),
        example=0,
    ),
    _rainfall("precip_3h", 3, 60, example=0.02),
    _rainfall("precip_6h", 6, 120, example=0.02),
    _rainfall("precip_24h", 24, 480, example=0.02),
    _rainy_share("rainy_share_24h", "hours with rain among the last 24", DAY, HERE, example=0.08),
    _rainy_share("rainy_share_7d", "hours with rain in the last 7 days", 7 * DAY, HERE, example=0.05),
    _rainy_share("rainy_airports_1h", "airports with rain in the last hour", HOUR, (), example=0),
)

SCHEMA: Final = Schema(
    name="rain-soon",
    title="Rain at New York's airports",
    subject=SUBJECT,
    target=TARGET,
    # The observation of the third hour ends with it, so the label comes at once.
    calendar=Calendar(NEW_YORK, horizon_minutes=HOURS * HOUR, label_delay_minutes=0),
    numeric=_NUMERIC,
    category=(CategoricalFeature("airport", "IATA code", "where it may rain", QueryColumn("airport"), example="JFK"),),
    slices=("airport", Ranges("humid", (60, 80)), Ranges("pressure_change_3h", (-1, 1))),
)
