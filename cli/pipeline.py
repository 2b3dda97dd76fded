"""What works on files: the stages of the pipeline, a new task out of a CSV, a model's scores of a Parquet file."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cli.options import command
from contracts.settings import Section, StoreSettings

STAGES = (
    "parameters",
    "ingest",
    "validate",
    "featurize",
    "train",
    "compress",
    "evaluate",
    "package",
)  # pipelines/dvc_yaml/dag.py


@click.command()
@click.argument("name", type=click.Choice(STAGES))
@command(Section, "root")
def stage(name: str, settings: Section) -> None:
    """Run one DVC stage. `dvc repro` calls this; you rarely need to."""
    from pipelines.runner import run_stage

    run_stage(name, settings.root)


@click.group()
def pipeline() -> None:
    """The stages as DVC sees them."""


@pipeline.command()
@command(Section, "root")
def build(settings: Section) -> None:
    """Write dvc.yaml of a workspace: what each stage reads and writes, and from which code it follows."""
    from pipelines.dvc_yaml.dag import build as run

    run(settings.root)
    click.echo(settings.root / "dvc.yaml")


@click.command("new-task")
@click.argument("name")
@click.option("--csv", type=click.Path(path_type=Path), required=True, help="A row a prediction, with a line of names.")
@click.option("--id", "id_", metavar="COLUMN", required=True, help="Unique for each row.")
@click.option("--time", metavar="COLUMN", required=True, help="When the prediction is asked for, in ISO 8601.")
@click.option("--label", metavar="COLUMN", required=True, help="Two values, or empty where the outcome is not known.")
@click.option("--positive", metavar="VALUE", help="Of the label: means true.  [default: 1, true or yes]")
@click.option("--outcome-time", metavar="COLUMN", help="When the label was known.  [default: after the horizon]")
@click.option("--category", metavar="COLUMN", multiple=True, help="A category, though it looks like a number.")
@click.option("--zone", default="UTC", show_default=True, help="IANA name: of times without an offset, and of months.")
@click.option("--horizon", metavar="MINUTES", default=0, help="From the prediction to the moment that it is about.")
@command()
def new_task(name: str, csv: Path, id_: str, category: tuple[str, ...], **roles: Any) -> None:
    """Make a task of your own out of a CSV: tasks/NAME/ and workspaces/NAME/, to be edited."""
    from pipelines.dvc_yaml.dag import CHECKOUT
    from pipelines.dvc_yaml.dag import build as build_dag
    from tasks.scaffold import Roles, new_task

    made = new_task(CHECKOUT, name, csv, Roles(id=id_, categories=category, **roles))
    build_dag(CHECKOUT / "workspaces" / name)
    for path in (*made.files, Path("workspaces", name, "dvc.yaml")):
        click.echo(path)
    click.echo(f"numbers: {', '.join(one.name for one in made.numbers)}")
    click.echo(f"categories: {', '.join(one.name for one in made.texts)}")
    for column, why in made.left_out.items():
        click.echo(f"left out: {column} ({why})")
    click.echo(f"label: {made.label.name}, true when {made.label.positive!r}; months from {made.as_of} on test it")
    click.echo(f"next: edit tasks/{name}/schema.py and words.py, then cd workspaces/{name} && dvc repro")


@click.command()
@click.option("--in", "source", type=click.Path(path_type=Path), required=True, help="Parquet, a column a feature.")
@click.option("--out", "target", type=click.Path(path_type=Path), required=True, help="Parquet, whole or not there.")
@click.option("--digest", help="A model of the store instead of the champion; its first digits will do.")
@click.option("--keep", metavar="COLUMN", multiple=True, help="A column to carry over, a key for one; repeatable.")
@command(StoreSettings, "root", "store", "public_key")
def score(settings: StoreSettings, source: Path, target: Path, digest: str | None, keep: tuple[str, ...]) -> None:
    """Score the rows of a Parquet file with a released model, as the service would."""
    from contracts.artifact import verify
    from contracts.store import load_champion
    from pipelines.offline import score_file
    from registry.store import find

    if digest is None:
        artifact = load_champion(settings.store, settings.public_key)
    else:
        found = find(settings.store, digest)
        artifact = verify(settings.store / found, settings.public_key, found)
    started = time.perf_counter()
    with _progress() as told:
        rows = score_file(source, target, artifact, keep, told)
    seconds = time.perf_counter() - started
    click.echo(f"{target}: {rows:,} rows by {artifact.manifest.name} {artifact.version} in {seconds:.1f} s")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rows", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
