"""All detectors of data faults, by name, and one look with each of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from contracts.objectives import Objectives
from contracts.reports.watching import Fault
from monitoring.detectors.scene import Scene
from monitoring.hours.hour import Hour
from monitoring.hours.yardstick import Yardstick

Detector = Callable[[Scene], Iterable[Fault]]
DETECTORS: Final[dict[str, Detector]] = {}


def detect(
    hours: Sequence[Hour], yardstick: Yardstick, objectives: Objectives, now_hour: int, mature_hour: int
) -> tuple[Fault, ...]:
    """What each detector says of each of its subjects, the faults first. A subject that cannot be judged is unknown.

    Args:
        hours: as in `Scene`.
    """
    scene = Scene(hours, yardstick, objectives, now_hour, mature_hour)
    found = [fault for detector in DETECTORS.values() for fault in detector(scene)]
    return tuple(sorted(found, key=lambda one: ("page", "ticket", "unknown", "ok").index(one.state)))
