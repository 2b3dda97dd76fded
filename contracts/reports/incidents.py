"""What the catalogue of incidents found: which faults are noticed, when, and what quiet months say."""

from typing import Literal

from contracts.reports import Part
from contracts.reports.watching import State

Judge = Literal["looks", "looks and promtool", "promtool"]


class Delay(Part, frozen=True):
    """Hours from a fault to its first alarm, over the seeds that noticed it; None: none did."""

    median: float | None
    p90: float | None


class Run(Part, frozen=True):
    """One fault at one hour.

    Attributes:
        start: ISO hour, UTC.
        hours, rows: from the fault to the first alarm that months without it do not raise; None: there was none.
        detector, subject, severity, said: of that alarm; of several at once the one that names the cause.
        named_right: one of the first alarms is of the right detector and the right subject.
        others: alarms at that look about something else.
    """

    seed: int
    start: str
    hours: float | None
    rows: int | None
    severity: State | None
    detector: str
    subject: str
    said: str
    named_right: bool
    others: int


class Fired(Part, frozen=True):
    """An alert of the real rules. `hours` from the fault until it fired, its `for` included."""

    alert: str
    severity: str
    hours: float


class IncidentResult(Part, frozen=True):
    """A fault over its seeds.

    Attributes:
        seeds: that found a place for it.
        detected: in `limit_hours` after the fault; of a silent one: seeds with any alarm at all, which is wrong.
        detected_low: Wilson's lower bound (95 %, two-sided) of the share.
        named_cause_right: of the detected ones.
        judged_by: whether the first seed's gauges went through the real rules, too: then `fired` says what fired. What
            lies before the rows is judged by the rules alone, and nothing of it is random.
    """

    name: str
    kind: str
    seeds: int
    detected: int
    detected_low: float
    limit_hours: float
    delay_hours: Delay
    delay_rows: float | None
    detector: str
    severity: State | None
    named_cause_right: int
    remedy: str
    judged_by: Judge
    fired: tuple[Fired, ...]
    runs: tuple[Run, ...]


class FalseAlarm(Part, frozen=True):
    """One alarm of a quiet time: what one alert says without a day's pause."""

    detector: str
    severity: State
    first: str
    last: str
    subjects: tuple[str, ...]


class Quiet(Part, frozen=True):
    """Months without a fault.

    Attributes:
        windows: looks.
        drift_flagged_share, stated_share: None: drift is described and alerts nobody, so no rate is stated.
    """

    months: float
    windows: int
    pages: int
    tickets: int
    drift_flagged_share: float | None
    stated_share: float | None
    alarms: tuple[FalseAlarm, ...]


class IncidentsReport(Part, frozen=True):
    """All of it.

    Attributes:
        not_here: incidents that find no feature in this task; without promtool those that only it can judge.
        quiet: the months as they were; None: only some incidents were asked for.
        resampled: half-years, of which each week is a near one of the same clock, as it was.
    """

    task: str
    incidents: tuple[IncidentResult, ...]
    not_here: tuple[str, ...]
    quiet: Quiet | None
    resampled: tuple[Quiet, ...] = ()
    format: Literal[1] = 1
