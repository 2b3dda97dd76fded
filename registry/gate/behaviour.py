"""What a candidate does with rows that are made for it, and what it costs beside the champion."""

import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.artifact import Artifact
from contracts.reports.gate import Behaviour
from contracts.schema import Category, Numeric, Schema
from registry.gate import limits

Scorer = Callable[[Numeric, Category], NDArray[np.float32]]
BATCH: Final = 256
ROUNDS: Final = 30
REPEATS: Final = 20  # of one row in a round


def behaviour(
    candidate: Artifact, champion: Artifact, scorers: tuple[Scorer, Scorer], numeric: Numeric, category: Category
) -> tuple[Behaviour, ...]:
    """All of it.

    Args:
        scorers: of the candidate and of the champion.
        numeric, category: some real rows, at least one; 256 are looked at.
    """
    same = _inputs(candidate.schema) == _inputs(champion.schema)
    found = [
        Behaviour("same task and inputs", same, "as the champion" if same else "another task, or other inputs"),
    ]
    if not same:
        return tuple(found)
    found += _answers(scorers[0], candidate.schema, numeric, category)
    sizes = [len(one.model) for one in (candidate, champion)]
    size = sizes[0] <= limits.BYTES * sizes[1]
    found.append(
        Behaviour(f"at most {limits.BYTES:g} times the champion's size", size, f"{sizes[0]:,} and {sizes[1]:,} bytes")
    )
    return (*found, *_speed(scorers, numeric, category))


def _inputs(schema: Schema) -> tuple[object, ...]:
    return (schema.name, schema.target, schema.numeric, schema.category)


def _answers(score: Scorer, schema: Schema, numeric: Numeric, category: Category) -> Iterator[Behaviour]:
    """Odd but honest rows are answered with a probability, and a row's answer does not depend on its neighbours."""
    unknown = category[:BATCH].copy()
    unknown[:] = "~"
    missing = numeric[:BATCH].copy()
    missing[:, [one.nullable for one in schema.numeric]] = np.nan
    nothing = np.full_like(unknown, "")
    for name, some, other in (
        ("unknown categories", numeric[:BATCH], unknown),
        ("all that may be missing, missing", missing, nothing),
    ):
        answers = score(some, other)
        sound = bool(np.all((answers >= 0) & (answers <= 1)))  # NaN compares false
        yield Behaviour(f"{name}: answered", sound, f"{float(answers.min()):.3f} to {float(answers.max()):.3f}")
    together = score(numeric[:BATCH], category[:BATCH])
    alone = np.array([score(numeric[i : i + 1], category[i : i + 1])[0] for i in range(0, len(together), 8)])
    apart = float(np.abs(alone - together[::8]).max())
    yield Behaviour("a row alone and among others", apart <= limits.SAME_SCORE, f"{apart:.1e} apart at most")


def _speed(scorers: tuple[Scorer, Scorer], numeric: Numeric, category: Category) -> Iterator[Behaviour]:
    """The fastest of many rounds, taken in turns: what disturbs one disturbs the other."""
    for rows, repeats in ((1, REPEATS), (min(BATCH, len(numeric)), 1)):
        best = [np.inf, np.inf]
        for _ in range(ROUNDS):
            for place, score in enumerate(scorers):
                began = time.perf_counter()
                for _ in range(repeats):
                    score(numeric[:rows], category[:rows])
                best[place] = min(best[place], (time.perf_counter() - began) / repeats)
        ratio = best[0] / best[1]
        yield Behaviour(
            f"at most {limits.LATENCY:g} times the champion's time for {rows} row{'s' if rows > 1 else ''}",
            ratio <= limits.LATENCY,
            f"{1e6 * best[0]:.0f} and {1e6 * best[1]:.0f} us",
        )
