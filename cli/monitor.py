"""What watches the service: the monitor, its page, and the receiver of alerts."""

from pathlib import Path

import click

from cli.options import command, database_option, path_option, root_option, state_option


@click.group(invoke_without_command=True)
@database_option
@state_option
@click.option("--metrics", help="Address of the service's metrics, for its error counts.")
@path_option("--store", "artifacts/store", "Released models.", "WINDSOCK_STORE")
@path_option("--public-key", "secrets/signing.pub", "Of the champion's signature.", "WINDSOCK_PUBLIC_KEY")
@click.option(
    "--no-files",
    is_flag=True,
    envvar="WINDSOCK_NO_FILES",
    help="Write to the log's database alone, and nothing under reports/.",
)
@root_option
@click.pass_context
@command
def monitor(
    context: click.Context,
    database: str | None,
    state: Path,
    metrics: str | None,
    store: Path,
    public_key: Path,
    no_files: bool,
    root: Path,
) -> None:
    """Report quality, drift, latency and errors by month, from the prediction log and the champion.

    `windsock monitor serve` shows the newest report as a page and as Prometheus' gauges.
    """
    if context.invoked_subcommand:
        return
    from monitoring.monitor.job import run

    url = database or f"sqlite:///{(root / state).absolute() / 'predictions.db'}"
    run(root, url, metrics, store=root / store, public_key=root / public_key, files=not no_files)


@monitor.command(name="serve")
@database_option
@state_option
@click.option(
    "--host",
    envvar="WINDSOCK_METRICS_HOST",
    default="127.0.0.1",
    help="Address of page and gauges; they need no token.  [default: 127.0.0.1]",
)
@click.option("--port", type=int, default=3003, show_default=True)
@command
def monitor_serve(database: str | None, state: Path, host: str, port: int) -> None:
    """Show the monitor's newest report: its page, and its gauges at /metrics, with their age."""
    from monitoring.monitor.server import serve as run

    run(host, port, database or f"sqlite:///{state.absolute() / 'predictions.db'}")


@click.command()
@click.option("--port", type=int, default=3004, show_default=True, help="On 127.0.0.1, where Alertmanager sends.")
@command
def alerts(port: int) -> None:
    """Receive Alertmanager's webhook and write each alert to the log. Your pager goes here."""
    from monitoring.monitor.webhook import receive

    receive(port)
