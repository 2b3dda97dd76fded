"""One look at one model: all that is said of it follows from its hours and the moment."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from contracts.objectives import Objectives
from contracts.reports.watching import WatchedModel
from contracts.schema import Calendar
from monitoring.detectors.detect import detect
from monitoring.expected import judge
from monitoring.hours.hour import Hour
from monitoring.hours.yardstick import Yardstick

DAYS: Final = 36  # of hours that are looked at: four weeks whose labels have had their time, and those that wait
LABEL_TIME: Final = timedelta(hours=24)  # beyond the calendar's own delay: ordinary rows are labelled by then
_EPOCH: Final = datetime(1970, 1, 1)
_HOUR: Final = timedelta(hours=1)


def look(hours: Sequence[Hour], yardstick: Yardstick, role: str, objectives: Objectives, now: datetime) -> WatchedModel:
    """What is to be said of a model in one role.

    Args:
        hours: its own, sorted; those of `DAYS` are enough. Give the same objects at the next look: what was made of
            whole days is remembered.
        now: UTC without a zone. Later hours are not looked at, so one caller's clock moves nothing.
    """
    now_hour = hour_of(now)
    seen = [hour for hour in hours if now_hour - DAYS * 24 < hour.hour <= now_hour]
    mature = mature_hour(yardstick.schema.calendar, now)
    windows, instruments = judge(seen, yardstick, objectives, now_hour, mature)
    first, last = (iso(seen[0].hour), iso(seen[-1].hour)) if seen else (None, None)
    return WatchedModel(
        digest=yardstick.digest,
        role=role,
        rows=sum(hour.rows for hour in seen),
        first=first,
        last=last,
        windows=windows,
        instruments=instruments,
        faults=detect(seen, yardstick, objectives, now_hour, mature),
    )


def mature_hour(calendar: Calendar, now: datetime) -> int:
    """The newest hour whose rows have had their label's time: what is punctual is labelled first, and would flatter."""
    delay = timedelta(minutes=calendar.horizon_minutes + calendar.label_delay_minutes)
    return hour_of(now - delay - LABEL_TIME) - 1


def hour_of(moment: datetime) -> int:
    """Hours since 1970 of an instant, UTC without a zone."""
    return (moment - _EPOCH) // _HOUR


def iso(hour: int) -> str:
    """ "2013-07-01T08:00:00Z"."""
    return f"{(_EPOCH + hour * _HOUR).isoformat()}Z"
