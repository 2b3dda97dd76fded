"""Released models."""

import click

from cli.options import command
from contracts.settings import Section


@click.command()
@click.option("--digest", help="A model of the store instead, to go back to it; its first digits will do.")
@click.option("--challenger", is_flag=True, help="Store and register it as challenger; the champion stays.")
@command(Section, "root")
def release(settings: Section, digest: str | None, challenger: bool) -> None:
    """Verify the candidate, copy it to the store under its digest, make it champion."""
    from contracts.workspace import Workspace
    from registry.release import release as run

    click.echo(run(Workspace(settings.root), digest, "challenger" if challenger else "champion"))


@click.command()
@command(Section, "root")
def models(settings: Section) -> None:
    """List the store's models, the newest first; a star marks the champion."""
    from contracts.workspace import Workspace
    from registry.store import list_models

    workspace = Workspace(settings.root)
    for model in list_models(workspace.store, workspace.public_key):
        star = "*" if model.champion else " "
        if model.artifact is None:
            click.echo(f"{star} {model.digest[:12]}  does not verify: {model.damage}")
            continue
        manifest, made = model.artifact.manifest, model.artifact.provenance.created_at
        figures = "  ".join(f"{name} {value:.4g}" for name, value in manifest.metrics.items())
        click.echo(f"{star} {model.digest[:12]}  {made}  {manifest.released} as of {manifest.as_of}  {figures}")
