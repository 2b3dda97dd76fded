"""From data to answers: stages, release, replay, and the demo of all of it."""

import sys
from importlib import import_module
from pathlib import Path

import click

from cli.options import command, path_option, root_option

STAGES = ("parameters", "ingest", "validate", "featurize", "train", "compress", "evaluate", "package")


@click.command()
@click.argument("name", type=click.Choice(STAGES))
@root_option
@command
def stage(name: str, root: Path) -> None:
    """Run one DVC stage. `dvc repro` calls this; you rarely need to."""
    from contracts.params import load_params

    import_module(f"pipelines.stages.{name}").main(root, load_params(root / "params.yaml"))


@click.command()
@click.option("--digest", help="A model of the store instead, to go back to it; its first digits will do.")
@root_option
@command
def release(root: Path, digest: str | None) -> None:
    """Verify the candidate, copy it to the store under its digest, make it champion."""
    from registry.release import release as run

    click.echo(run(root, digest))


@click.command()
@click.option("--from", "first", default="2013-07", show_default=True, help="First month, New York time.")
@click.option("--to", "last", default="2013-12", show_default=True, help="Last month, inclusive.")
@click.option("--rest", default="http://127.0.0.1:3000", show_default=True, help="Address of the REST service.")
@click.option("--grpc", default="127.0.0.1:3001", show_default=True, help="Address of the gRPC service.")
@path_option("--token-file", "secrets/token", "Bearer token of the service.")
@root_option
@command
def replay(first: str, last: str, rest: str, grpc: str, token_file: Path, root: Path) -> None:
    """Send every real flight of some months to a running service, and its label when it would have landed."""
    from demo.replay import replay as run

    run(root / "data/features.parquet", first, last, rest=rest, grpc=grpc, token_file=token_file)


@click.command()
@root_option
@command
def demo(root: Path) -> None:
    """Reproduce, release, serve, replay, monitor and judge. `make demo` installs first."""
    from demo.run import run

    sys.exit(0 if run(root) else 1)
