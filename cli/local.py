"""Everything as processes of this machine."""

import sys
from pathlib import Path

import click

from cli.options import command, root_option


@click.command()
@click.option("--rest-port", type=int, default=3000, show_default=True)
@click.option("--grpc-port", type=int, default=3001, show_default=True)
@click.option("--metrics-port", type=int, default=3002, show_default=True)
@click.option("--monitor-port", type=int, default=3003, show_default=True)
@click.option("--alerts-port", type=int, default=3004, show_default=True)
@click.option("--prometheus-port", type=int, default=9090, show_default=True)
@click.option("--alertmanager-port", type=int, default=9093, show_default=True)
@root_option
@command
def stack(root: Path, **ports: int) -> None:
    """Service, monitor, Prometheus and Alertmanager as local processes, until Ctrl-C."""
    from deploy.local.stack import Ports, run

    sys.exit(run(root, Ports(**{name.removesuffix("_port"): port for name, port in ports.items()})))
