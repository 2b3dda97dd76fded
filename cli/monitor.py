"""The monitor, its page, and the receiver of alerts."""

import click

from cli.options import command
from contracts.settings import MonitorSettings


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
