"""A change of roles from the command line: said, followed by the replicas, told to MLflow."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contracts.errors import Unavailable
from contracts.settings import MonitorSettings
from contracts.workspace import Workspace
from registry.release import move_alias
from registry.roles.change import Changed
from registry.roles.following import Outcome, wait
from registry.roles.place import Place, opened_place
from registry.roles.words import desired_line

logger = logging.getLogger(__name__)

WAIT_SECONDS: Final = 10.0  # replicas follow within two


@dataclass(frozen=True, slots=True)
class Said:
    """Lines to print. `followed`: whether no live replica refused or kept silent."""

    lines: list[str]
    followed: bool


def announce(settings: MonitorSettings, waits: bool, change: Callable[[Place], Changed]) -> Said:
    """Change roles, and tell what came of it. Raises what `change` raises; then nothing was changed."""
    with opened_place(settings) as place:
        known = place.live()
        changed = change(place)
        now = changed.now
        lines = [desired_line(now) + ("" if now != changed.before else "; so it was already")]
        outcomes = wait(place, now, known, WAIT_SECONDS) if waits else []
        lines += [line for outcome in outcomes for line in _lines(outcome)]
        if waits and not outcomes:
            lines.append("no replica reports; those that start from now on follow")
        if now.champion != changed.before.champion:
            name = place.model(now.champion).manifest.name
            try:
                move_alias(Workspace(settings.root), name, now.champion)
            except Unavailable as error:
                logger.warning("the roles are changed, MLflow's alias champion is not: %s", error)
    return Said(lines, all(outcome.how == "loaded" for outcome in outcomes))


def _lines(outcome: Outcome) -> list[str]:
    if outcome.how == "refused":
        return [f"{outcome.replica}: refused {one.role} {one.digest[:12]}: {one.why}" for one in outcome.refused]
    silent = f"has not followed within {WAIT_SECONDS:g} s; `windsock models` shows what it has"
    return [f"{outcome.replica}: {'loaded' if outcome.how == 'loaded' else silent}"]
