"""Everything as processes of this machine."""

import sys

import click

from cli.options import command
from contracts.settings import StackSettings


@click.command()
@command(StackSettings, "root", *(name for name in StackSettings.model_fields if name.endswith("_port")))
def stack(settings: StackSettings) -> None:
    """Service, monitor, Prometheus and Alertmanager as local processes, until Ctrl-C."""
    from deploy.local.stack import Ports, run

    ports = {name: getattr(settings, f"{name}_port") for name in Ports.__dataclass_fields__}
    sys.exit(run(settings.root, Ports(**ports)))
