"""The prediction log."""

import click

from cli.options import command
from contracts.settings import LogSettings


@click.group()
def log() -> None:
    """Look after the prediction log."""


@log.command()
@command(LogSettings, "root", "state", database_url="database")
def migrate(settings: LogSettings) -> None:
    """Renew a log that an earlier version wrote: its database and what waits in its spool. Stop the service first."""
    from monitoring.log.migrate import migrate_log
    from tasks import log_columns_before_schema

    done = migrate_log(settings.database, settings.spool, log_columns_before_schema())
    if not done.database and not done.segments:
        click.echo("nothing to migrate: the log is this version's")
        return
    click.echo(f"columns of the database: {'renamed' if done.database else 'already new'}")
    click.echo(f"segments of the spool: {done.segments} rewritten")
