"""Whether a candidate may take the champion's place."""

import sys
from typing import TYPE_CHECKING, Any

import click

from cli.options import command
from contracts.settings import StoreSettings

if TYPE_CHECKING:
    from contracts.artifact import Artifact
    from contracts.reports.gate import GateReport
    from contracts.workspace import Workspace
    from demo.replayed_rows import Rows as Replayed
    from registry.gate.rows import Rows


@click.command()
@click.option("--digest", help="A model of the store instead of the candidate; its first digits will do.")
@command(StoreSettings, "root", "store", "public_key")
def gate(settings: StoreSettings, digest: str | None) -> None:
    """Hold the candidate against the champion, on labelled rows that neither has seen -> reports/gate.json.

    It changes nothing. Exit status 0: it passes; 1: it is refused, or labels are waited for.
    """
    from contracts.artifact import verify
    from contracts.reports import write_report
    from contracts.store import load_champion
    from contracts.workspace import Workspace
    from registry.artifact_writer import restore_envelope
    from registry.store import find

    workspace = Workspace(settings.root)
    if digest is None:
        restore_envelope(workspace.candidate, workspace.envelopes)
        candidate = verify(workspace.candidate, settings.public_key)
    else:
        found = find(settings.store, digest)
        candidate = verify(settings.store / found, settings.public_key, found)
    report = judged(workspace, candidate, load_champion(settings.store, settings.public_key))
    write_report(workspace.report("gate"), report)
    for line in lines(report):
        click.echo(line)
    sys.exit(report.verdict != "pass")


def judged(workspace: "Workspace", candidate: "Artifact", champion: "Artifact") -> "GateReport":
    """What the gate says, on the rows of the table of features after both as-of dates.

    Raises:
        DataError: there is no such table.
    """
    from demo.replayed_rows import months_after, read_rows
    from monitoring.scorer.reference import ReferenceScorer
    from registry.gate.behaviour import behaviour
    from registry.gate.judge import judge
    from registry.gate.rows import Rows

    digests = candidate.digest, champion.digest
    months = months_after(workspace.features, max(candidate.manifest.as_of, champion.manifest.as_of))
    if not months:
        return judge(Rows.none(), (), *digests)
    some = read_rows(workspace.features, champion.schema, months[0], months[-1])
    scorers = ReferenceScorer(candidate.model), ReferenceScorer(champion.model)
    said = behaviour(candidate, champion, scorers, some.numeric, some.category)
    comparable = said[0].passed  # the same task and inputs: else the candidate cannot score these rows
    return judge(scored(some, champion, scorers) if comparable else Rows.none(), said, *digests)


def scored(some: "Replayed", champion: "Artifact", scorers: tuple[Any, Any]) -> "Rows":
    """The labelled ones of these rows, by both models: the candidate, the champion."""
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    import numpy as np

    from registry.gate.rows import Rows

    known = some.label >= 0
    numeric, category = some.numeric[known], some.category[known]
    zone = ZoneInfo(champion.schema.calendar.time_zone)
    hours, place = np.unique(some.predicted_at[known].astype("datetime64[h]"), return_inverse=True)
    local = [datetime.fromtimestamp(int(hour) * 3_600, UTC).astimezone(zone) for hour in hours.astype(np.int64)]
    day = np.array([one.date().toordinal() for one in local], np.int64)[place]
    candidate, now = (scorer(numeric, category).astype(np.float64) for scorer in scorers)
    return Rows(some.label[known] == 1, now, candidate, day, champion.schema.slice_masks(numeric, category))


def lines(report: "GateReport") -> list[str]:
    """For a terminal: the verdict first."""
    models = f"{report.candidate[:12]} beside {report.champion[:12]}"
    found = [
        f"{report.verdict}: {models}, {report.rows:,} labelled rows of {report.days} days",
        *(f"  {why}" for why in report.why),
    ]
    for one in report.losses:
        if not one.slice or not one.passed:
            name = f"{one.measure} {one.slice}".strip()
            power = "" if one.power is None else f"; an equal one passes {one.power:.0%}"
            mark = "ok  " if one.passed else "FAIL"
            found.append(f"{mark} {name}: {one.loss:+.5f}, bound {one.bound:+.5f}, margin {one.margin:g}{power}")
    found += [f"{'ok  ' if one.passed else 'FAIL'} {one.name}: {one.measured}" for one in report.behaviour]
    slices = [one for one in report.losses if one.slice]
    return [*found, f"{len(slices)} slices judged, {len(report.unjudged)} with too few rows"]
