"""What commands share: options out of the settings, logging, and what becomes of an error."""

import functools
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click

from contracts.errors import WindsockError
from contracts.settings import Section, load, variable


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


def command(
    section: type[Section] | None = None, *fields: str, **renamed: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function a command that gets `settings`, read from options and environment.

    Domain errors become one message and exit status 1; anything else is our bug and keeps its trace.

    Args:
        section: of the settings; None reads none.
        fields: of the section that are options of the command, under their own names.
        renamed: more fields, with the names of their options.
    """
    options = {field: field.replace("_", "-") for field in fields} | renamed

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            _set_up_logging()
            given = {field: kwargs.pop(field) for field in options}
            try:
                return function(*args, **kwargs, **({"settings": load(section, **given)} if section else {}))
            except WindsockError as error:
                raise click.ClickException(str(error)) from error

        decorated: Callable[..., Any] = run
        for field, option in reversed(options.items()):
            decorated = _option(section or Section, field, option)(decorated)
        return decorated

    return decorate


def _option(section: type[Section], field: str, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option of one field. Its default is None: `load` reads the variable and the default of the settings."""
    told = section.model_fields[field]
    shown = "" if told.default in ("", None, Path()) else f"; default: {told.default}"
    text = f"{told.description}  [env var: {variable(section, field)}{shown}]"
    if told.annotation is bool:
        name, text = (f"no-{name}" if told.default else name), text.partition("; default")[0].rstrip("]") + "]"
        return click.option(f"--{name}", field, is_flag=True, flag_value=not told.default, default=None, help=text)
    return click.option(f"--{name}", field, type=_kind(told.annotation), default=None, help=text)


def _kind(annotation: Any) -> Any:
    """Click's type for a field's."""
    if get_origin(annotation) is Literal:
        return click.Choice(get_args(annotation))
    if Path in (annotation, *get_args(annotation)):
        return click.Path(path_type=Path)
    return annotation
