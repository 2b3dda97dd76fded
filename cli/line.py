"""From data to answers: stages, replay, and the demo of all of it."""

import sys

import click

from cli.options import command
from contracts.settings import Section, ServiceSettings

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


@click.command()
@click.option("--from", "first", help="First month, as 2013-07.  [default: the first after the model's as_of]")
@click.option("--to", "last", help="Last month, inclusive.  [default: the last of data/features.parquet]")
@click.option("--rest", help="Address of the REST service.  [default: http:// with host and REST port]")
@click.option("--grpc", help="Address of the gRPC service.  [default: host and gRPC port]")
@command(ServiceSettings, "root", "token_file", "host", "rest_port", "grpc_port")
def replay(settings: ServiceSettings, first: str | None, last: str | None, rest: str | None, grpc: str | None) -> None:
    """Send every real row of some months to a running service, and its label when its outcome was known."""
    from contracts.workspace import Workspace
    from demo.replay import replay_workspace as run

    run(
        Workspace(settings.root),
        first,
        last,
        rest=rest or f"http://{settings.host}:{settings.rest_port}",
        grpc=grpc or f"{settings.host}:{settings.grpc_port}",
        token_file=settings.token_file,
    )


@click.command()
@command(Section, "root")
def demo(settings: Section) -> None:
    """Reproduce, release, serve, replay, monitor and judge. `make demo` installs first."""
    from demo.run import run

    sys.exit(0 if run(settings.root) else 1)
