"""Released models."""

import sys

import click

from cli.options import command
from contracts.settings import Section, StoreSettings


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
@command(StoreSettings, "root", "store", "public_key")
def models(settings: StoreSettings) -> None:
    """List the store's models, the newest first; a star marks the champion."""
    from registry.store import list_models

    for model in list_models(settings.store, settings.public_key):
        star = "*" if model.champion else " "
        if model.artifact is None:
            click.echo(f"{star} {model.digest[:12]}  does not verify: {model.damage}")
            continue
        manifest, made = model.artifact.manifest, model.artifact.provenance.created_at
        # Counts are shown whole, measures with the digits that an interval leaves them.
        shown = {
            name: f"{value:,.0f}" if value == int(value) else f"{value:.4f}" for name, value in manifest.metrics.items()
        }
        figures = "  ".join(f"{name} {text}" for name, text in shown.items())
        click.echo(f"{star} {model.digest[:12]}  {made}  {manifest.released} as of {manifest.as_of}  {figures}")


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
