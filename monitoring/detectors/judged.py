"""The form of what a detector says."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from contracts.reports.watching import Fault
from monitoring.detectors.scene import Scene
from monitoring.hours.hour import Hour


def judged(
    detector: str,
    subject: str,
    scene: Scene,
    found: bool,
    value: float,
    limit: float,
    cause: str,
    hours: tuple[Hour, ...] | None = None,
) -> Fault:
    """A fault, or that there is none.

    Args:
        cause: for people, said when it is found.
        hours: that were looked at; None: the newest block.
    """
    hours = scene.newest if hours is None else hours
    rows = sum(hour.rows for hour in hours)
    since = (datetime(1970, 1, 1) + timedelta(hours=hours[0].hour)).isoformat() + "Z" if found and hours else None
    return Fault(
        detector, subject, "ticket" if found else "ok", float(value), float(limit), rows, cause if found else "", since
    )


def unknown(detector: str, subjects: Iterable[str], scene: Scene) -> Iterator[Fault]:
    """Too few rows, or days to compare with."""
    rows = sum(hour.rows for hour in scene.newest)
    for subject in subjects:
        yield Fault(detector, subject, "unknown", None, None, rows)
