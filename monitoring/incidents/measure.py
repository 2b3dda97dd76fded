"""The catalogue over its seeds: what noticed each fault, after how long, and whether it said the right thing."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from contracts.errors import ParameterError
from contracts.reports.incidents import Delay, Fired, IncidentResult, IncidentsReport, Quiet, Run
from monitoring.incidents.alarms import Alarm, alarms
from monitoring.incidents.catalogue import CATALOGUE, Incident
from monitoring.incidents.quiet import STEP, QuietMonths, resampled
from monitoring.incidents.rules import fired
from monitoring.incidents.signals import SIGNALS, result
from monitoring.incidents.simulator import Replay, Tick, World, inject, limit_hours, ticks
from monitoring.incidents.traffic import NoPlace
from monitoring.watch.look import iso

Tell = Callable[[str], None]
HALF_YEARS: Final = 20  # resampled, at most: some hundred months
_SLOW: Final = ("quality", "silent")


class Study:
    """What one process measures; each part stands alone, so several processes share the parts.

    Args:
        seeds: hours that each fault is tried at.
        short: no months of silence, and no promtool.
    """

    def __init__(self, world: World, seeds: int, *, short: bool) -> None:
        self.world, self._seeds, self._short = world, seeds, short
        self._quiet = QuietMonths(world)

    def part(self, name: str) -> IncidentResult | Quiet | None:
        """An incident; "quiet": the months as they were; a number: a resampled half-year. None: it cannot happen."""
        if name == QUIET:
            return self._quiet.summary()
        if name.isdecimal():
            return resampled(self.world, int(name))
        if name in SIGNALS:
            return result(SIGNALS[name], self.world.objectives)
        return self.incident(CATALOGUE[name])

    def incident(self, incident: Incident) -> IncidentResult | None:
        """With each seed. None: the task has no place for it."""
        runs: list[Run] = []
        heard: tuple[Fired, ...] | None = None
        for seed in range(self._seeds if incident.month is None else 1):
            try:
                replay = inject(self.world, incident, seed)
            except NoPlace:
                continue
            if not self._short and not runs:
                looks = list(ticks(self.world, replay, incident, lasting=incident.kind in _SLOW))
                heard = fired(looks, replay.start, self.world.objectives)
            runs.append(judged(self._quiet, incident, replay, ticks(self.world, replay, incident), seed))
        return _result(incident, runs, heard, limit_hours(self.world, incident)) if runs else None


QUIET: Final = "quiet"
SEEDS: Final = 3  # below, that none noticed a fault says little
Parts = Callable[[list[str]], Iterable[tuple[str, IncidentResult | Quiet | None]]]


def measure(
    task: str, each: Parts, only: Sequence[str], *, half_years: int = HALF_YEARS, short: bool, tell: Tell
) -> IncidentsReport:
    """Each incident with each seed, then the quiet time.

    Args:
        each: does the parts of a `Study`, in any order.
        only: names; empty is all.
        half_years: resampled ones.
        tell: is told of progress.

    Raises:
        ParameterError: no such incident.
    """
    every = [*CATALOGUE, *SIGNALS]
    if unknown := set(only) - set(every):
        raise ParameterError(
            f"an incident must be one of {', '.join(every)}; got {', '.join(sorted(unknown))}; correct the name"
        )
    chosen = [name for name in every if not only or name in only]
    if short:
        chosen = [name for name in chosen if name in CATALOGUE and not CATALOGUE[name].silent]
    quiet = [] if short or only else [QUIET, *map(str, range(half_years))]
    slow_first = sorted(chosen, key=lambda name: name in SIGNALS or CATALOGUE[name].kind not in _SLOW)
    done: dict[str, IncidentResult | Quiet | None] = {}
    for name, found in each([*quiet, *slow_first]):
        done[name] = found
        tell(f"{len(done)} of {len(quiet) + len(chosen)}  {_told(name, found)}")
    results = [done[name] for name in chosen]
    return IncidentsReport(
        task,
        tuple(one for one in results if isinstance(one, IncidentResult)),
        tuple(name for name in chosen if done[name] is None),
        next((one for one in [done.get(QUIET)] if isinstance(one, Quiet)), None),
        tuple(one for name in quiet[1:] if isinstance(one := done[name], Quiet)),
    )


def complaints(report: IncidentsReport) -> list[str]:
    """What must not be: a fault that none of `SEEDS` seeds noticed in time, a page where nothing is wrong. Losses of
    quality are no complaint: what a month can tell of them is reported, not promised."""
    found = [
        f"{one.name}: none of {one.seeds} was noticed within {one.limit_hours:g} hours"
        for one in report.incidents
        if one.detected == 0 and (one.kind == "signals" or (one.kind in ("data", "labels") and one.seeds >= SEEDS))
    ]
    pages = sum(one.pages for one in (*report.resampled, *filter(None, [report.quiet])))
    silent = [one.name for one in report.incidents if one.kind == "silent" and one.severity == "page"]
    if pages or silent:
        found.append(f"{pages} pages in months without a fault, and pages in: {', '.join(silent) or 'none of silence'}")
    return found


def _told(name: str, found: IncidentResult | Quiet | None) -> str:
    if isinstance(found, IncidentResult):
        return f"{name}: {found.detected} of {found.seeds}"
    if found is None:
        return f"{name}: cannot happen here"
    what = "months as they were" if name == QUIET else f"quiet half-year {name}"
    return f"{what}: {found.pages} pages, {found.tickets} tickets"


def judged(quiet: QuietMonths, incident: Incident, replay: Replay, looks: Iterable[Tick], seed: int) -> Run:
    """The first alarm that the same time without the fault does not raise; no look after it is taken."""
    step = 24 if incident.kind in _SLOW else STEP
    usual = set() if incident.silent else quiet.keys(replay.start - 24, replay.start + replay.hours, step)
    for hour, model in looks:
        found = [alarm for alarm in alarms(model) if alarm.key not in usual]
        if not found:
            continue
        right = [alarm for alarm in found if names_cause(alarm, incident, replay.subjects)]
        first = (right or found)[0]
        rows = sum(count for at, count in replay.rows.items() if at <= hour)
        return Run(
            seed, iso(replay.start), hour + 1 - replay.start, rows, first.severity, first.detector, first.subject,
            first.said, bool(right), len(found) - len(right),
        )  # fmt: skip
    return Run(seed, iso(replay.start), None, None, None, "", "", "", False, 0)


def names_cause(alarm: Alarm, incident: Incident, subjects: tuple[str, ...]) -> bool:
    """Whether an alarm is of the right detector, and of what the fault hit."""
    return alarm.detector in incident.truth.detectors and (not subjects or alarm.subject in subjects)


def wilson_low(hits: int, count: int) -> float:
    """Lower end of Wilson's interval of a share (Wilson 1927), 95 %.

    >>> round(wilson_low(45, 50), 3), wilson_low(0, 0)
    (0.786, 0.0)
    """
    if count == 0:
        return 0.0
    z = 1.959964
    share = hits / count
    middle, half = share + z**2 / (2 * count), z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, float((middle - half) / (1 + z**2 / count)))


def _result(incident: Incident, runs: list[Run], heard: tuple[Fired, ...] | None, limit: int) -> IncidentResult:
    hours = [run.hours for run in runs if run.hours is not None]
    noticed = [run for run in runs if run.hours is not None and run.hours <= limit]
    rows = [run.rows for run in noticed if run.rows is not None]
    detector = Counter(run.detector for run in noticed).most_common(1)
    severity = Counter(run.severity for run in noticed).most_common(1)
    return IncidentResult(
        name=incident.name,
        kind=incident.kind,
        seeds=len(runs),
        detected=len(noticed),
        detected_low=round(wilson_low(len(noticed), len(runs)), 3),
        limit_hours=limit,
        delay_hours=Delay(_quantile(hours, 0.5), _quantile(hours, 0.9)),
        delay_rows=_quantile(rows, 0.5),
        detector=detector[0][0] if detector else "",
        severity=severity[0][0] if severity else None,
        named_cause_right=sum(run.named_right for run in noticed),
        remedy=incident.truth.remedy,
        judged_by="looks" if heard is None else "looks and promtool",
        fired=heard or (),
        runs=tuple(runs),
    )


def _quantile(values: Sequence[float], share: float) -> float | None:
    return round(float(np.quantile(values, share)), 1) if values else None
