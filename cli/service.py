"""The service."""

import sys
from typing import Final

import click

from cli.options import command
from contracts.settings import ServiceSettings

# Options under their own names: not those between launcher and workers, nor the one renamed below.
_OPTIONS: Final = ServiceSettings.model_fields.keys() - {"lifeline", "metrics_folder", "database_url"}


@click.command()
@command(ServiceSettings, *sorted(_OPTIONS), database_url="database")
def serve(settings: ServiceSettings) -> None:
    """Serve the champion over REST and gRPC."""
    from services.process.launch import serve as run

    sys.exit(run(settings))
