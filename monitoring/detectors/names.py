"""Names of a category: new ones, and frequent ones that are written otherwise."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np

from contracts.reports.watching import Fault
from monitoring.detectors.judged import judged, unknown
from monitoring.detectors.scene import Scene
from monitoring.hours.hour import REST, Hour

NEW: Final = 0.03  # share of rows with names that the model does not know, above the highest of the days before
FREQUENT: Final = 0.04  # share of rows of a name that is missed
LIKE: Final = 0.5  # a new name has this share of a lost one's rows, at least


def category(scene: Scene) -> Iterator[Fault]:
    """Of each category: the share of rows whose name the model does not know."""
    schema, blocks = scene.yardstick.schema, scene.inputs
    if not blocks.comparable:
        yield from unknown("category", schema.category_names, scene)
        return
    share = blocks.sums("unknown") / np.maximum(blocks.rows, 1)[:, None]
    usual = blocks.usual(share)
    limit = usual.high + np.maximum(usual.high - usual.low, NEW)
    for column, name in enumerate(schema.category_names):
        found = bool(share[0, column] > limit[column])
        cause = _cause(scene, column, name) if found else ""
        yield judged("category", name, scene, found, share[0, column], limit[column], cause)


def _cause(scene: Scene, column: int, name: str) -> str:
    now = _shares(scene.newest, column)
    before = _shares(tuple(hour for block in scene.inputs.hours[1:] for hour in block), column)
    known = scene.yardstick.vocabulary[column]
    strange = {word: share for word, share in now.items() if word not in known}
    new = max(strange, key=lambda word: strange[word], default="")
    lost = {word: share for word, share in before.items() if share >= FREQUENT and now.get(word, 0.0) < share / 20}
    alike = [word for word, share in lost.items() if strange.get(new, 0.0) >= LIKE * share]
    if alike:
        old = min(alike, key=lambda word: (word.lower() != new.lower(), abs(lost[word] - strange[new])))
        return f"{name}: {old} is now written {new}, which the model does not know"
    return f"{name}: {strange.get(new, 0.0):.0%} of the rows say {new}, which the model does not know"


def _shares(hours: tuple[Hour, ...], column: int) -> dict[str, float]:
    counted: Counter[str] = Counter()
    for hour in hours:
        counted.update(hour.categories[column])
    rows = max(sum(counted.values()), 1)
    return {word: number / rows for word, number in counted.items() if word not in ("", REST)}
