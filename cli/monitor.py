"""The monitor, its page, the receiver of alerts, and the prediction log that they read."""

import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TextIO

import click

from cli.options import command
from contracts.errors import ParameterError
from contracts.settings import LogSettings, MonitorSettings


@click.group(invoke_without_command=True)
@click.pass_context
@command(
    MonitorSettings,
    *("root", "state", "store", "public_key", "no_files", "clock"),
    database_url="database",
    metrics_url="metrics",
)
def monitor(context: click.Context, settings: MonitorSettings) -> None:
    """Report quality, drift, latency and errors by month, from the prediction log and the champion.

    `windsock monitor serve` does it every so often, and shows the newest report as a page and as Prometheus' gauges.
    """
    if context.invoked_subcommand:
        return
    from monitoring.monitor.job import run

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that a lease is given back
    run(
        settings.root,
        settings.database,
        settings.metrics_url or None,
        store=settings.store,
        public_key=settings.public_key,
        files=not settings.no_files,
        clock=settings.clock,
    )


@monitor.command(name="serve")
@command(
    MonitorSettings,
    *("root", "state", "store", "public_key", "clock"),
    monitor_every="every",
    database_url="database",
    metrics_url="metrics",
    probe_url="probe",
    probe_token_file="probe-token-file",  # noqa: S106 - an option's name
    metrics_host="host",
    monitor_port="port",
)
def monitor_serve(settings: MonitorSettings) -> None:
    """Run the monitor every so often, and show its newest report: a page, and gauges at /metrics, with their age.

    With --probe it asks the service again and again, as a caller does, and says in gauges whether it answers.
    """
    from monitoring.monitor.server import serve as run

    run(settings)


@click.command()
@command(MonitorSettings, "watchdog_seconds", alerts_host="host", alerts_port="port")
def alerts(settings: MonitorSettings) -> None:
    """Receive Alertmanager's webhook and write each alert to the log. Your pager goes here.

    It raises an alarm of its own when the Watchdog does not come any more: in the log, and as 503 at /heartbeat.
    """
    from monitoring.receiver.webhook import receive

    receive(settings.alerts_host, settings.alerts_port, settings.watchdog_seconds)


@click.group()
def log() -> None:
    """Look after the prediction log: its tables, its age, what is taken out of it."""


@log.command()
@command(LogSettings, "root", "state", database_url="database")
def migrate(settings: LogSettings) -> None:
    """Make the log's tables, or renew what an earlier version wrote: database and spool. Stop the service first.

    In PostgreSQL its owner says this. It makes the roles windsock_writer and windsock_reader, too.
    """
    from monitoring.log.migrate import migrate_log

    try:
        from tasks import log_columns_before_schema
    except ModuleNotFoundError:  # an image has no tasks: a log from before schemas is renewed in a checkout
        renamed: dict[str, str] = {}
    else:
        renamed = dict(log_columns_before_schema())
    done = migrate_log(settings.database, settings.spool, renamed)
    was = {None: "made", "": "renewed from version 1", "1": "renewed from version 1"}
    click.echo(f"tables of the database: {was.get(done.found, 'already those of this version')}")
    click.echo(f"segments of version 1's spool: {done.segments} moved, {done.put_aside} lines put aside")


@log.command()
@command(LogSettings, "root", "state", "retention_days", database_url="database")
def maintain(settings: LogSettings) -> None:
    """Drop what is older than it is kept for, and make PostgreSQL's partitions ahead. To be run each day."""
    from datetime import UTC, datetime, timedelta

    from monitoring.log.database import opened
    from monitoring.log.upkeep.retention import count_orphans
    from monitoring.log.upkeep.retention import maintain as run

    with opened(settings.database) as engine:
        done = run(engine, settings.retention_days)
    click.echo(f"partitions: {len(done.made)} made, {len(done.dropped)} dropped; rows deleted: {done.deleted}")
    now = datetime.now(UTC).replace(tzinfo=None)
    orphans = count_orphans(settings.database, now - timedelta(days=30), now - timedelta(hours=1))
    click.echo(f"labels of the newest 30 days that name no prediction: {orphans}")


@log.command()
@click.option("--id", "ids", multiple=True, help="A request's id, as its caller named it; may be given several times.")
@click.option("--ids-from", type=click.File("r", "utf-8"), help="A file with an id a line; - is standard input.")
@command(LogSettings, "root", "state", database_url="database")
def delete(settings: LogSettings, ids: tuple[str, ...], ids_from: TextIO | None) -> None:
    """Delete requests with their labels, while the service goes on."""
    from monitoring.log.database import opened
    from monitoring.log.upkeep.retention import delete_requests

    wanted = [*ids, *(line.rstrip("\r\n") for line in ids_from or () if line.strip())]
    if not wanted:
        raise ParameterError("`--id` must name a request, got none; give --id or --ids-from")
    with opened(settings.database) as engine:
        click.echo(f"rows deleted: {delete_requests(engine, wanted)}")


@log.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the files; made if missing.")
@click.option("--first", type=click.DateTime(["%Y-%m-%d"]), help="First day of arrival, UTC; default: the log's.")
@click.option("--last", type=click.DateTime(["%Y-%m-%d"]), help="Last day, inclusive; default: the log's.")
@command(LogSettings, "root", "state", database_url="database")
def export(settings: LogSettings, out: Path, first: datetime | None, last: datetime | None) -> None:
    """Write the log as Parquet files, one a day, for DuckDB and others."""
    from monitoring.log.upkeep.export import export_log

    done = export_log(settings.database, out, first and first.date(), last and last.date())
    click.echo(f"{out}: {done.days} days, {done.predictions} rows of predictions, {done.labels} labels")
