"""The monitor, its page, the receiver of alerts, and the prediction log that they read."""

import click

from cli.options import command
from contracts.errors import ParameterError
from contracts.settings import LogSettings, MonitorSettings


@click.group(invoke_without_command=True)
@click.pass_context
@command(
    MonitorSettings,
    *("root", "state", "store", "public_key", "no_files"),
    database_url="database",
    metrics_url="metrics",
)
def monitor(context: click.Context, settings: MonitorSettings) -> None:
    """Report quality, drift, latency and errors by month, from the prediction log and the champion.

    `windsock monitor serve` shows the newest report as a page and as Prometheus' gauges.
    """
    if context.invoked_subcommand:
        return
    from monitoring.monitor.job import run

    run(
        settings.root,
        settings.database,
        settings.metrics_url or None,
        store=settings.store,
        public_key=settings.public_key,
        files=not settings.no_files,
    )


@monitor.command(name="serve")
@command(MonitorSettings, "root", "state", database_url="database", metrics_host="host", monitor_port="port")
def monitor_serve(settings: MonitorSettings) -> None:
    """Show the monitor's newest report: its page, and its gauges at /metrics, with their age."""
    from monitoring.monitor.server import serve as run

    run(settings.metrics_host, settings.monitor_port, settings.database)


@click.command()
@command(MonitorSettings, alerts_port="port")
def alerts(settings: MonitorSettings) -> None:
    """Receive Alertmanager's webhook and write each alert to the log. Your pager goes here."""
    from monitoring.monitor.webhook import receive

    receive(settings.alerts_port)


@click.group()
def log() -> None:
    """Look after the prediction log: renew one that an earlier version wrote."""


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
