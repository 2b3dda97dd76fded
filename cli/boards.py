"""Grafana's dashboards and Prometheus' rules."""

from pathlib import Path

import click

from cli.options import command
from contracts.objectives import load_objectives
from contracts.settings import MonitorSettings, Section
from contracts.workspace import Workspace


@click.group()
def dashboards() -> None:
    """Grafana dashboards and alert rules as code: build, check and draw them."""


@dashboards.command()
@command(Section, "root")
def build(settings: Section) -> None:
    """Write dashboards and rules anew, from the objectives -> deploy/observability/ in the root."""
    from monitoring.boards.build import write

    write(settings.root, load_objectives(Workspace(settings.root).objectives))


@dashboards.command()
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder of the files; made if missing.")
@command(MonitorSettings, "root", "external_url")
def rules(settings: MonitorSettings, to: Path) -> None:
    """Write the rules alone, with links that open from outside: for compose."""
    from contracts.files import write_atomic
    from deploy.local.links import with_links
    from monitoring.boards.rules import texts

    for name, text in texts(load_objectives(Workspace(settings.root).objectives)).items():
        write_atomic(to / name, with_links(text, settings.external_url).encode())


prometheus_option = click.option("--prometheus", help="Its address.  [default: http://127.0.0.1 with its port]")
minutes_option = click.option("--minutes", type=float, default=15, show_default=True, help="Time range, until now.")


@dashboards.command()
@prometheus_option
@minutes_option
@command(MonitorSettings, "root", "prometheus_port")
def check(settings: MonitorSettings, prometheus: str | None, minutes: float) -> None:
    """Run every query of every panel and rule on a Prometheus: each must return data -> reports/dashboards.json."""
    from monitoring.boards.query import report

    report(settings.root, prometheus or _address(settings), minutes)


@dashboards.command()
@prometheus_option
@minutes_option
@click.option("--to", type=click.Path(path_type=Path), help="Folder.  [default: reports/dashboards]")
@command(MonitorSettings, "root", "prometheus_port")
def render(settings: MonitorSettings, prometheus: str | None, minutes: float, to: Path | None) -> None:
    """Draw each dashboard from a live Prometheus, from the same JSON, into one PNG."""
    from monitoring.boards.preview.render import render as run

    folder = settings.root / to if to else Workspace(settings.root).reports / "dashboards"
    run(prometheus or _address(settings), folder, minutes)


def _address(settings: MonitorSettings) -> str:
    return f"http://127.0.0.1:{settings.prometheus_port}"
