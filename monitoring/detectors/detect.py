"""All detectors of data faults, by name, and one look with each of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from contracts.objectives import Objectives
from contracts.reports.watching import Fault
from contracts.schema import Schema, Window
from monitoring.detectors.clock import clock
from monitoring.detectors.flow import duplicate, volume
from monitoring.detectors.labels import labels_flipped, labels_late, labels_missing
from monitoring.detectors.missing import missing, stale
from monitoring.detectors.names import category
from monitoring.detectors.numbers import out_of_range, swap, unit
from monitoring.detectors.scene import Scene
from monitoring.detectors.stuck import stuck
from monitoring.hours.hour import Hour
from monitoring.hours.yardstick import Yardstick

Detector = Callable[[Scene], Iterable[Fault]]
DETECTORS: Final[dict[str, Detector]] = {
    "volume": volume,
    "stale": stale,
    "swap": swap,
    "missing": missing,
    "stuck": stuck,
    "clock": clock,
    "range": out_of_range,
    "unit": unit,
    "category": category,
    "duplicate": duplicate,
    "labels_missing": labels_missing,
    "labels_late": labels_late,
    "labels_flipped": labels_flipped,
}
# What a fault does to other detectors of the same subject: they see the same, and know less of it.
EXPLAINS: Final = {
    "stale": ("missing", "stuck", "unit", "range", "swap"),
    "missing": ("unit", "range"),
    "swap": ("missing", "stuck", "clock", "unit", "range"),
    "stuck": ("unit", "range"),
    "clock": ("unit", "range"),
    "range": ("unit",),
}
_ORDER: Final = ("page", "ticket", "unknown", "ok")


def detect(
    hours: Sequence[Hour], yardstick: Yardstick, objectives: Objectives, now_hour: int, mature_hour: int
) -> tuple[Fault, ...]:
    """What each detector says of each of its subjects, the faults first. A subject that cannot be judged is unknown,
    and so is what another fault explains.

    Args:
        hours: as in `Scene`.
    """
    scene = Scene(hours, yardstick, objectives, now_hour, mature_hour)
    found: list[Fault] = []
    explained: set[tuple[str, str]] = set()
    for detector in DETECTORS.values():
        for fault in detector(scene):
            if (fault.detector, fault.subject) in explained:
                found.append(msgspec.structs.replace(fault, state="unknown", cause="", since=None))
                continue
            found.append(fault)
            if fault.cause:
                subjects = _subjects(fault, yardstick.schema)
                explained |= {(other, one) for other in EXPLAINS.get(fault.detector, ()) for one in subjects}
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.state)))


def _subjects(fault: Fault, schema: Schema) -> tuple[str, ...]:
    """Features that a fault is about: a stream's are those that are made of it."""
    made = tuple(
        one.name for one in schema.numeric if isinstance(one.source, Window) and one.source.events == fault.subject
    )
    return made or (fault.subject,)
