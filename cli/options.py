"""What commands share: options, logging, and what becomes of an error."""

import functools
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from contracts.errors import WindsockError


def path_option(name: str, default: str, what: str, variable: str | None = None) -> Callable[..., Any]:
    """An option that is a path, with its default in its help."""
    kind, text = click.Path(path_type=Path), f"{what}  [default: {default}]"
    return click.option(name, type=kind, default=Path(default), envvar=variable, help=text)


root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="Folder of params.yaml, data/, artifacts/, reports/.  [default: the current one]",
)
database_option = click.option(
    "--database",
    envvar="WINDSOCK_DATABASE_URL",
    help="SQLAlchemy URL of the prediction log.  [default: SQLite, predictions.db in --state]",
)
state_option = path_option("--state", "state", "Where the service keeps its log.", "WINDSOCK_STATE")


def _set_up_logging() -> None:
    """Rich lines on a terminal; the same lines without escape codes in a pipe or in CI."""
    if sys.stderr.isatty():
        from rich.logging import RichHandler

        handler: logging.Handler = RichHandler(show_path=False, show_level=False, log_time_format="%H:%M:%S")
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for room in ("tasks", "pipelines", "registry", "services", "monitoring", "deploy", "demo"):
        logging.getLogger(room).setLevel(logging.INFO)


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Domain errors become one message and exit status 1; anything else is our bug and keeps its trace."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        _set_up_logging()
        try:
            return function(*args, **kwargs)
        except WindsockError as error:
            raise click.ClickException(str(error)) from error

    return run
