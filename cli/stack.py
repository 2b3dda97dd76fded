"""Everything as processes of this machine."""

import sys

import click

from cli.options import command
from contracts.objectives import load_objectives
from contracts.settings import StackSettings
from contracts.workspace import Workspace


@click.command()
@command(
    StackSettings, "root", "external_url", *(name for name in StackSettings.model_fields if name.endswith("_port"))
)
def stack(settings: StackSettings) -> None:
    """Service, monitor, Prometheus and Alertmanager as local processes, until Ctrl-C."""
    from deploy.local.links import with_links
    from deploy.local.stack import Ports, run
    from monitoring.boards.rules import texts

    ports = {name: getattr(settings, f"{name}_port") for name in Ports.__dataclass_fields__}
    objectives = load_objectives(Workspace(settings.root).objectives)
    rules = {name: with_links(text, settings.external_url) for name, text in texts(objectives).items()}
    sys.exit(run(settings, Ports(**ports), rules))
