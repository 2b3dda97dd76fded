"""Released models, and which of them has which role."""

import getpass
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from cli.options import command
from contracts.settings import MonitorSettings, StoreSettings

if TYPE_CHECKING:
    from registry.roles.change import Changed
    from registry.roles.place import Place

_PLACE: Final = ("root", "store", "public_key", "state")


@click.command()
@click.option("--digest", help="A model of the store instead, to go back to it; its first digits will do.")
@click.option("--challenger", is_flag=True, help="Store and register it as challenger; the champion stays.")
@command(MonitorSettings, "root", "state", database_url="database")
def release(settings: MonitorSettings, digest: str | None, challenger: bool) -> None:
    """Verify the candidate, copy it to the store under its digest, make it champion."""
    from contracts.workspace import Workspace
    from registry.release import release as run
    from registry.roles.release import overcome

    workspace = Workspace(settings.root)

    def before_pointing(found: str) -> None:
        overcome(settings, workspace.store, found, getpass.getuser())

    click.echo(run(workspace, digest, "challenger" if challenger else "champion", before_pointing))


@click.group(invoke_without_command=True)
@click.pass_context
@command(MonitorSettings, *_PLACE, database_url="database")
def models(context: click.Context, settings: MonitorSettings) -> None:
    """List the store's models, the newest first; a star marks the champion.

    With the role that each shall have, and what each replica has loaded or refused. The commands change roles; replicas
    follow within two seconds.
    """
    if context.invoked_subcommand is not None:
        given = {name: value for name, value in context.params.items() if value is not None}
        context.default_map = dict.fromkeys(models.commands, given)
        return
    from registry.roles.overview import look

    overview = look(settings)
    for line in overview.lines():
        click.echo(line)
    if overview.fault is not None:
        click.echo(overview.fault, err=True)


def _changes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that all changes of roles have."""
    for option in (
        click.option("--by", help="Who says it; default: the user's name."),
        click.option("--reason", default="", help="Why; kept in the history."),
        click.option("--wait/--no-wait", default=True, help="Wait until the replicas have followed; default: wait."),
    ):
        function = option(function)
    return command(MonitorSettings, *_PLACE, database_url="database")(function)


@models.command("set")
@click.option("--champion", metavar="DIGEST", help="Answers what the challenger does not; first digits will do.")
@click.option("--challenger", metavar="DIGEST", help="Answers a share of the requests.")
@click.option("--weight", type=float, help="The challenger's share, 0 to 1.")
@click.option("--shadow", metavar="DIGEST", help="Scores what the others answer, for the log alone.")
@click.option("--no-challenger", is_flag=True, help="Take the challenger's role away.")
@click.option("--no-shadow", is_flag=True, help="Take the shadow's role away.")
@_changes
def set_roles(settings: MonitorSettings, by: str | None, reason: str, wait: bool, **wish: Any) -> None:
    """Give roles to models."""
    from registry.roles.change import Wish
    from registry.roles.change import set_roles as run

    _change(settings, wait, lambda place: run(place, Wish(**wish), by or getpass.getuser(), reason))


@models.command()
@_changes
def promote(settings: MonitorSettings, by: str | None, reason: str, wait: bool) -> None:
    """Make the challenger champion."""
    from registry.roles.change import promote as run

    _change(settings, wait, lambda place: run(place, by or getpass.getuser(), reason))


@models.command()
@_changes
def rollback(settings: MonitorSettings, by: str | None, reason: str, wait: bool) -> None:
    """Go back to the former champion."""
    from registry.roles.change import roll_back as run

    _change(settings, wait, lambda place: run(place, by or getpass.getuser(), reason))


def _change(settings: MonitorSettings, wait: bool, change: "Callable[[Place], Changed]") -> None:
    """Do it, print what each replica made of it, and end with 1 when one has not followed."""
    from registry.roles.announce import announce

    said = announce(settings, wait, change)
    for line in said.lines:
        click.echo(line)
    if not said.followed:
        sys.exit(1)


@click.command()
@click.argument("digest")
@command(StoreSettings, "root", "store", "public_key")
def rebuild(settings: StoreSettings, digest: str) -> None:
    """Make a model of the store again, and say whether the bytes are the same.

    DIGEST is the beginning of its digest. Nothing is checked out: HEAD must be the commit that made it. The exit status
    is 0 when the bytes are the same, 1 when they differ or when they could not be made.
    """
    from contracts.workspace import Workspace
    from pipelines.dvc_yaml.dag import STAGES
    from pipelines.runner import run_stage
    from registry.rebuild import rebuild as run

    rebuilt = run(Workspace(settings.root), settings.store, settings.public_key, digest, STAGES, run_stage)
    if not rebuilt.differences:
        click.echo(f"{rebuilt.digest[:12]}: the same bytes")
        return
    for name in rebuilt.differences:
        click.echo(f"{rebuilt.digest[:12]}: differs in {name}")
    if rebuilt.versions:
        click.echo(f"Libraries that are not those that made it: {', '.join(rebuilt.versions)}")
    sys.exit(1)
