"""Grafana's dashboards."""

from pathlib import Path

import click

from cli.options import command, path_option, root_option


@click.group()
def dashboards() -> None:
    """Grafana dashboards as code: build, check and draw them."""


@dashboards.command()
@command
def build() -> None:
    """Write deploy/observability/dashboards/*.json anew."""
    from monitoring.boards.build import write

    write()


prometheus_option = click.option(
    "--prometheus", default="http://127.0.0.1:9090", show_default=True, help="Its address."
)
minutes_option = click.option("--minutes", type=float, default=15, show_default=True, help="Time range, until now.")


@dashboards.command()
@prometheus_option
@minutes_option
@root_option
@command
def check(prometheus: str, minutes: float, root: Path) -> None:
    """Run every query of every panel and rule on a Prometheus: each must return data -> reports/dashboards.json."""
    from monitoring.boards.query import report

    report(root, prometheus, minutes)


@dashboards.command()
@prometheus_option
@minutes_option
@path_option("--to", "reports/dashboards", "Folder.")
@command
def render(prometheus: str, minutes: float, to: Path) -> None:
    """Draw each dashboard from a live Prometheus, from the same JSON, into one PNG."""
    from monitoring.boards.preview.render import render as run

    run(prometheus, to, minutes)
