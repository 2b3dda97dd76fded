"""Units that are taken for each other, and how one becomes the other."""

from typing import Final

# Each unit in terms of the first of its line: value in the unit = factor * value in the first + offset.
_LINES: Final[tuple[dict[str, tuple[float, float]], ...]] = (
    {"mph": (1, 0), "m/s": (0.44704, 0), "knots": (0.868976, 0), "km/h": (1.609344, 0)},
    {"°F": (1, 0), "°C": (5 / 9, -160 / 9), "K": (5 / 9, 255.372)},
    {"miles": (1, 0), "km": (1.609344, 0), "m": (1609.344, 0), "nautical miles": (0.868976, 0)},
    {"minutes": (1, 0), "hours": (1 / 60, 0), "seconds": (60, 0)},
    {"inches": (1, 0), "mm": (25.4, 0), "cm": (2.54, 0)},
    {"millibar": (1, 0), "inHg": (0.02953, 0), "kPa": (0.1, 0), "mmHg": (0.750062, 0), "Pa": (100, 0)},
    {"share": (1, 0), "%": (100, 0)},
    {"degrees": (1, 0), "radians": (0.01745329, 0)},
    {"kg": (1, 0), "lb": (2.204623, 0), "g": (1000, 0)},
    {"years": (1, 0), "months": (12, 0), "days": (365.25, 0)},
)
_SAME: Final = {
    "hPa": "millibar",
    "mbar": "millibar",
    "C": "°C",
    "F": "°F",
    "kn": "knots",
    "metres": "m",
    "percent": "%",
}


def conversions(unit: str) -> dict[str, tuple[float, float]]:
    """What values in `unit` may have become: the other unit's name -> (factor, offset); empty: it is none of these.

    >>> [f"{name}: {factor:g} x + {offset:g}" for name, (factor, offset) in conversions("mph").items()][0]
    'm/s: 0.44704 x + 0'
    """
    written = _SAME.get(unit, unit)
    for line in _LINES:
        if written in line:
            factor, offset = line[written]
            # x of this unit is (x - offset) / factor of the first.
            return {
                name: (other / factor, other_offset - offset * other / factor)
                for name, (other, other_offset) in line.items()
                if name != written
            }
    return {}
