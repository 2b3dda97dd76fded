"""Months of a task's rows sent to a service, and the whole line in one command."""

import sys

import click

from cli.options import command
from contracts.settings import Section, ServiceSettings


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
