"""The service, and the prediction log that it writes."""

import sys
from typing import Final

import click

from cli.options import command
from contracts.errors import ParameterError
from contracts.settings import LogSettings, ServiceSettings

# Options under their own names: not those between launcher and workers, nor the one renamed below.
_OPTIONS: Final = ServiceSettings.model_fields.keys() - {"lifeline", "metrics_folder", "database_url"}


@click.command()
@command(ServiceSettings, *sorted(_OPTIONS), database_url="database")
def serve(settings: ServiceSettings) -> None:
    """Serve the champion over REST and gRPC."""
    from services.process.launch import serve as run

    sys.exit(run(settings))


@click.group()
def log() -> None:
    """Look after the prediction log."""


@log.command()
@command(LogSettings, "root", "state", database_url="database")
def migrate(settings: LogSettings) -> None:
    """Renew a log that an earlier version wrote: its database and what waits in its spool. Stop the service first."""
    from monitoring.log.migrate import migrate_log

    try:
        from tasks import log_columns_before_schema
    except ModuleNotFoundError as error:
        raise ParameterError(
            "`windsock log migrate` must run in a checkout, got an image, which has no tasks; run it there, with the "
            "address of the log as --database"
        ) from error
    done = migrate_log(settings.database, settings.spool, log_columns_before_schema())
    if not done.database and not done.segments:
        click.echo("nothing to migrate: the log is this version's")
        return
    click.echo(f"columns of the database: {'renamed' if done.database else 'already new'}")
    click.echo(f"segments of the spool: {done.segments} rewritten")
