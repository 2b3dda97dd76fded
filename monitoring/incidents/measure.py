"""The catalogue over its seeds: what noticed each fault, after how long, and whether it said the right thing."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from contracts.errors import ParameterError
from contracts.reports.incidents import Delay, Fired, IncidentResult, IncidentsReport, Run
from monitoring.incidents.alarms import Alarm, alarms
from monitoring.incidents.catalogue import CATALOGUE, Incident
from monitoring.incidents.quiet import STEP, QuietMonths
from monitoring.incidents.rules import fired
from monitoring.incidents.simulator import Replay, Tick, World, inject, limit_hours, ticks
from monitoring.incidents.traffic import NoPlace
from monitoring.watch.look import iso

Tell = Callable[[str], None]


def measure(world: World, seeds: int, only: Sequence[str], *, short: bool, tell: Tell) -> IncidentsReport:
    """Each incident with each seed, then the quiet time.

    Args:
        only: names; empty is all.
        short: no months of silence, and no promtool.
        tell: is told of progress.

    Raises:
        ParameterError: no such incident.
    """
    if unknown := set(only) - set(CATALOGUE):
        raise ParameterError(
            f"an incident must be one of {', '.join(CATALOGUE)}; got {', '.join(sorted(unknown))}; correct the name"
        )
    quiet = QuietMonths(world)
    results, not_here = [], []
    for incident in [one for one in CATALOGUE.values() if not only or one.name in only]:
        if short and incident.kind == "silent":
            continue
        result = _measured(world, quiet, incident, seeds, rules=not short)
        if result is None:
            not_here.append(incident.name)
        else:
            results.append(result)
        tell(f"{incident.name}: {f'{result.detected} of {result.seeds}' if result else 'cannot happen here'}")
    summary = None if short or only else quiet.summary()
    return IncidentsReport(world.traffic.schema.title, tuple(results), tuple(not_here), summary)


def _measured(
    world: World, quiet: QuietMonths, incident: Incident, seeds: int, *, rules: bool
) -> IncidentResult | None:
    """None: the task has no place for it."""
    runs: list[Run] = []
    heard: tuple[Fired, ...] | None = None
    for seed in range(seeds if incident.month is None else 1):
        try:
            replay = inject(world, incident, seed)
        except NoPlace:
            continue
        looks = list(ticks(world, replay, incident))
        if rules and not runs:
            heard = fired(looks, replay.start, world.objectives)
        runs.append(judged(quiet, incident, replay, looks, seed))
    if not runs:
        return None
    return _result(incident, runs, heard, limit_hours(world, incident))


def judged(quiet: QuietMonths, incident: Incident, replay: Replay, looks: Sequence[Tick], seed: int) -> Run:
    """The first alarm that the same time without the fault does not raise."""
    last = looks[-1][0]
    silent = incident.kind == "silent"
    step = 24 if incident.kind in ("quality", "silent") else STEP
    usual = set() if silent else quiet.keys(replay.start - 24, last, step)
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


def _quantile(values: list[int], share: float) -> float | None:
    return round(float(np.quantile(values, share)), 1) if values else None
