"""The service, and who may ask it."""

import sys
from typing import Final

import click

from cli.options import command
from contracts.settings import ServiceSettings
from contracts.settings.tokens import SCOPES, Scope

# Options under their own names: not those between launcher and workers, nor the one renamed below.
_OPTIONS: Final = ServiceSettings.model_fields.keys() - {"lifeline", "metrics_folder", "database_url"}
_COMPANION: Final = (
    "root",
    "state",
    "store",
    "public_key",
    "spool_fsync",
    "flush_seconds",
    "retention_days",
    "log_format",
)


@click.command()
@command(ServiceSettings, *sorted(_OPTIONS), database_url="database")
def serve(settings: ServiceSettings) -> None:
    """Serve the champion over REST and gRPC."""
    from services.process.launch import serve as run

    sys.exit(run(settings))


@click.group()
def tokens() -> None:
    """Who may ask the service: list, add and remove tokens.

    A running service follows within a second. What is kept of a token is its hash: a lost one is replaced by a new one.
    """


@tokens.command("list")
@command(ServiceSettings, "root", "tokens_file")
def list_tokens(settings: ServiceSettings) -> None:
    """Show name, scopes and quota of each token."""
    from contracts.settings.tokens import read_tokens

    for token in read_tokens(settings.tokens_file):
        quota = "no quota" if token.rows_per_second is None else f"{token.rows_per_second:g} rows a second"
        click.echo(f"{token.name}  {' '.join(token.scopes)}  {quota}")


@tokens.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    required=True,
    help="What it is for; may be repeated.",
)
@click.option("--rows-per-second", type=float, help="Quota, for each worker process; default: none.")
@command(ServiceSettings, "root", "tokens_file")
def add(settings: ServiceSettings, name: str, scopes: tuple[Scope, ...], rows_per_second: float | None) -> None:
    """Make a token and print it, once: it is kept nowhere."""
    from contracts.settings.tokens import add_token

    click.echo(add_token(settings.tokens_file, name, tuple(dict.fromkeys(scopes)), rows_per_second))


@tokens.command("remove")
@click.argument("name")
@command(ServiceSettings, "root", "tokens_file")
def remove(settings: ServiceSettings, name: str) -> None:
    """Remove a token: who sends it is refused from now on."""
    from contracts.settings.tokens import remove_token

    remove_token(settings.tokens_file, name)
    click.echo(f"{name}: removed")


@click.command()
@command(ServiceSettings, *_COMPANION, database_url="database")
def companion(settings: ServiceSettings) -> None:
    """Move the log to the database, bring desired roles from it.

    The roles' models come with them. `windsock serve` starts one. In a pod it is a container of its own, beside the
    service's, on the same state.
    """
    from contracts.settings.logs import set_up
    from services.companion.companion import run

    set_up(settings.log_format)

    run(settings)
