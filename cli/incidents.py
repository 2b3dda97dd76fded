"""Faults put into a task's real rows, and what notices them."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import command
from contracts.errors import DataError
from contracts.settings import MonitorSettings
from contracts.workspace import Workspace

if TYPE_CHECKING:
    from contracts.artifact import Artifact
    from contracts.objectives import Objectives
    from contracts.reports.incidents import IncidentResult, Quiet
    from monitoring.incidents.measure import Parts, Study
    from monitoring.incidents.simulator import World


@click.command()
@click.option(
    "--seeds",
    type=click.IntRange(1, 200),
    default=50,
    show_default=True,
    help="Random hours a fault, and as many half-years of silence, at most 20.",
)
@click.option("--only", multiple=True, help="Name of an incident; may be given several times.  [default: all]")
@click.option("--short", is_flag=True, help="One seed each, and nothing of quiet months; writes nothing.")
@click.option(
    "--processes", type=click.IntRange(1, 64), default=len(os.sched_getaffinity(0)), help="[default: one a CPU]"
)
@command(MonitorSettings, "root", "store", "public_key")
def incidents(settings: MonitorSettings, seeds: int, only: tuple[str, ...], short: bool, processes: int) -> None:
    """Put each fault of the catalogue into months that the champion never saw -> reports/incidents.json.

    Exit status 1: no seed of a fault of the data, its labels or the stack was noticed in time (of three or more), or
    health paged.

    docs/incidents.md tells how to add one of your own.
    """
    from contracts.files import write_atomic
    from contracts.reports import write_report
    from contracts.store import load_champion
    from monitoring.incidents.measure import HALF_YEARS, complaints, measure
    from monitoring.incidents.picture import drawn
    from monitoring.incidents.tables import lines

    workspace = Workspace(settings.root)
    task = load_champion(settings.store, settings.public_key).schema.title
    with _parts(settings, seeds, short=short, processes=1 if short else processes) as each:
        report = measure(
            task,
            each,
            only,
            half_years=min(seeds, HALF_YEARS),
            short=short,
            tell=lambda text: click.echo(text, err=True),
        )
    for line in lines(report):
        click.echo(line)
    if not short and not only:
        write_report(workspace.reports / "incidents.json", report)
        write_atomic(workspace.reports / "incidents.svg", drawn(report).encode())
    if wrong := complaints(report):
        raise DataError("each fault must be noticed, and health page nobody, got:\n  " + "\n  ".join(wrong))


@contextmanager
def _parts(settings: MonitorSettings, seeds: int, *, short: bool, processes: int) -> Iterator["Parts"]:
    """What does parts of the study, in this process or in several of which each has its own world."""
    if processes == 1:
        study = make_study(settings, 1 if short else seeds, short=short)
        yield lambda names: ((name, study.part(name)) for name in names)
        return
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(settings, seeds)
    )
    with pool:
        yield lambda names: (one.result() for one in as_completed([pool.submit(_part, name) for name in names]))


_study: "Study | None" = None  # of this process


def _begin(settings: MonitorSettings, seeds: int) -> None:
    global _study
    _study = make_study(settings, seeds, short=False)


def _part(name: str) -> "tuple[str, IncidentResult | Quiet | None]":
    if _study is None:
        raise RuntimeError("`_begin` must have been called in this process")
    return name, _study.part(name)


def make_study(settings: MonitorSettings, seeds: int, *, short: bool) -> "Study":
    """The champion's world, and what is measured in it."""
    from contracts.objectives import load_objectives
    from contracts.store import load_champion
    from monitoring.incidents.measure import Study

    workspace = Workspace(settings.root)
    artifact = load_champion(settings.store, settings.public_key)
    world = make_world(artifact, workspace.features, load_objectives(workspace.objectives))
    return Study(world, seeds, short=short)


def make_world(artifact: "Artifact", features: Path, objectives: "Objectives") -> "World":
    """The rows of a table of features after the model's date, scored by it: they arrive when they were predicted."""
    import numpy as np
    import pyarrow.parquet as pq

    from monitoring.hours.yardstick import Yardstick
    from monitoring.incidents.simulator import World
    from monitoring.incidents.traffic import Traffic
    from monitoring.scorer.reference import ReferenceScorer

    schema, month = artifact.schema, artifact.manifest.as_of[:7]
    try:
        table = pq.read_table(features, filters=[("month", ">=", month)]).sort_by("predicted_at")
        category = np.column_stack([table[name].to_numpy().astype(object) for name in schema.category_names])
        label = table["label"].cast("int8").to_numpy(zero_copy_only=False).astype(np.float64)
        traffic = Traffic(
            schema=schema,
            hour=table["predicted_at"].to_numpy().astype("datetime64[h]").astype(np.int64),
            row_id=table["row_id"].to_numpy().astype(object),
            numeric=np.column_stack([table[name].to_numpy().astype(np.float32) for name in schema.numeric_names]),
            category=np.where(category == None, "", category).astype(object),  # noqa: E711 - element by element
            label=label,
            late=np.zeros(len(table), bool),
            scorer=ReferenceScorer(artifact.model),
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"`{features}` must be the table of features, got: {error}; run `dvc repro`") from error
    if len(traffic) == 0:
        raise DataError(f"`{features}` must hold months after {month}, which the model never saw, got none")
    return World(Yardstick.of(artifact), traffic, objectives)
