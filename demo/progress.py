"""How far the replay is: a bar on a terminal, plain lines in a pipe or in CI."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def progress(total: int) -> Iterator[Callable[[int, str], None]]:
    """`advance(done, day)`: a bar on a terminal, a line every tenth elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("replay", total=total)
            yield lambda done, day: bar.update(task, completed=done, description=day)
        return
    tenth = 0

    def advance(done: int, day: str) -> None:
        nonlocal tenth
        if done * 10 // total > tenth:
            tenth = done * 10 // total
            logger.info("  %s: %3d %%, %d of %d flights sent", day, tenth * 10, done, total)

    yield advance
