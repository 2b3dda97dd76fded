"""The stages of the pipeline, one at a time and as DVC sees them."""

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
