"""Values that do not come: of one feature, or of all that is made of one stream of events."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from contracts.reports.watching import Fault
from contracts.schema import Window
from monitoring.detectors.judged import judged, unknown
from monitoring.detectors.scene import Blocks, Floats, Scene

LEAST: Final = 0.15  # share of a day's rows above the highest of the days before
FAR: Final = 0.25  # and of some hours' rows
ALL: Final = 0.98  # of a dead stream's rows
ALIVE: Final = 0.9  # share of empty values that a living stream's days stay below


def missing(scene: Scene) -> Iterator[Fault]:
    """The missing share of each feature: of some hours when it is far above, of a day when it is clearly so."""
    names = scene.yardstick.schema.names
    if not scene.inputs.comparable:
        yield from unknown("missing", names, scene)
        return
    parts = [(blocks, *_share(blocks, widths, least)) for blocks, widths, least in _looks(scene) if blocks.comparable]
    for column, name in enumerate(names):
        blocks, share, high, limit = max(parts, key=lambda one: one[1][column] - one[3][column])
        cause = f"{name} is missing in {share[column]:.0%} of the rows; at most {high[column]:.0%} on the days before"
        found = bool(share[column] > limit[column])
        yield judged("missing", name, scene, found, share[column], limit[column], cause, blocks.hours[0])


def _looks(scene: Scene) -> tuple[tuple[Blocks, float, float], ...]:
    return (scene.inputs, 1.0, FAR), (scene.day, 0.6, LEAST)


def _share(blocks: Blocks, widths: float, least: float) -> tuple[Floats, Floats, Floats]:
    """Of the newest block; the highest of the days before; the limit; [f] each."""
    share = blocks.sums("missing") / np.maximum(blocks.rows, 1)[:, None]
    usual = blocks.usual(share)
    return share[0], usual.high, usual.high + np.maximum(widths * (usual.high - usual.low), least)


def stale(scene: Scene) -> Iterator[Fault]:
    """A stream of events that has ended: all that is made of it is missing, or what stands for no event."""
    schema, blocks = scene.yardstick.schema, scene.inputs
    streams: dict[str, list[int]] = {}
    for column, one in enumerate(schema.numeric):
        if isinstance(one.source, Window):
            streams.setdefault(one.source.events, []).append(column)
    if not blocks.comparable:
        yield from unknown("stale", streams, scene)
        return
    dead = blocks.sums("missing")[:, : len(schema.numeric)].copy()
    low, high = blocks.extremes("low"), blocks.extremes("high")
    for column, one in enumerate(schema.numeric):
        if isinstance(one.source, Window) and one.source.empty is not None:
            for block, hours in enumerate(blocks.hours):
                empty = [low[block][i, column] == high[block][i, column] == one.source.empty for i in range(len(hours))]
                dead[block, column] += sum(hour.rows for hour, is_it in zip(hours, empty, strict=True) if is_it)
    share = dead / np.maximum(blocks.rows, 1)[:, None]
    usual = blocks.usual(share)
    for stream, columns in streams.items():
        ended = bool((share[0, columns] >= ALL).all() and usual.high[columns].min() < ALIVE)
        cause = f"nothing comes from {stream}: all features that are made of it are empty"
        yield judged("stale", stream, scene, ended, float(share[0, columns].min()), ALL, cause)
