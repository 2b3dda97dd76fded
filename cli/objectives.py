"""The thresholds of the project, for a person."""

import textwrap

import click

from cli.options import command
from contracts.settings import Section

WIDTH = 58  # of a text column


@click.command()
@command(Section, "root")
def objectives(settings: Section) -> None:
    """Print every threshold with its unit, its reason, and when to change it.

    A value that `objectives.yaml` in the workspace changes is marked with a star.
    """
    from contracts.objectives import described, load_objectives
    from contracts.workspace import Workspace

    found = described(load_objectives(Workspace(settings.root).objectives))
    name_width = max(len(one.name) for one in found) + 2
    click.echo(f"{'objective':<{name_width}}{'value':>15} {'unit':<19}{'reason':<{WIDTH + 2}}when to change")
    for one in found:
        shown = f"{one.value:,}" if isinstance(one.value, int) else f"{one.value:g}"
        reasons, changes = textwrap.wrap(one.reason, WIDTH), textwrap.wrap(one.change, WIDTH)
        head = f"{one.name:<{name_width}}{shown + ('*' if one.changed else ' '):>15} {one.unit:<19}"
        for i in range(max(len(reasons), len(changes))):
            reason = reasons[i] if i < len(reasons) else ""
            change = changes[i] if i < len(changes) else ""
            click.echo(f"{head if i == 0 else ' ' * len(head)}{reason:<{WIDTH + 2}}{change}".rstrip())
