"""The service."""

import sys
from pathlib import Path
from typing import Any

import click

from cli.options import command


@click.command()
@click.option("--no-auth", is_flag=True, help="Answer without a token. Only for a network that you trust.")
@click.option("--host", help="Address of REST and gRPC.  [default: 127.0.0.1]")
@click.option("--rest-port", type=int, help="[default: 3000]")
@click.option("--grpc-port", type=int, help="[default: 3001]")
@click.option("--metrics-port", type=int, help="Prometheus metrics, on loopback.  [default: 3002]")
@click.option("--workers", type=int, help="Processes that answer, about one a core.  [default: 1]")
@click.option("--store", type=click.Path(path_type=Path), help="Released models.  [default: artifacts/store]")
@click.option("--state", type=click.Path(path_type=Path), help="Spool and prediction log.  [default: state]")
@command
def serve(no_auth: bool, **options: Any) -> None:
    """Serve the champion over REST and gRPC. Every option is a WINDSOCK_ variable, too."""
    from services.process.launch import serve as run
    from services.process.settings import load_settings

    given = {name: value for name, value in options.items() if value is not None}
    sys.exit(run(load_settings(**given, **({"auth": False} if no_auth else {}))))
