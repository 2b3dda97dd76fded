"""The stages of the pipeline, one at a time and as DVC sees them."""

from pathlib import Path
from typing import Any

import click

from cli.options import command
from contracts.settings import Section

STAGES = (
    "parameters",
    "ingest",
    "validate",
    "featurize",
    "train",
    "compress",
    "evaluate",
    "package",
)  # pipelines/dag.py


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
    from pipelines.dag import build as run

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
    from pipelines.dag import CHECKOUT
    from pipelines.dag import build as build_dag
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
