"""Values by week as inline SVG: a line in the band that was to be expected, with marks where something began."""

from collections.abc import Sequence
from datetime import date
from typing import Final, TypeVar

from markupsafe import Markup, escape

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 520, 46, 14, 26, 32
STEPS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
MOST_STEPS: Final = 4
T = TypeVar("T")
Band = Sequence[tuple[float, float] | None]


def weeks_chart(
    title: str,
    days: Sequence[str],
    values: Sequence[float | None],
    band: Band = (),
    marks: Sequence[tuple[str, str]] = (),
    *,
    height: int = 316,
    unit: str = "",
) -> Markup:
    """One point a week.

    Args:
        days: first day of each week, ISO, the oldest first.
        band: (low, high) of each week; None: unknown. Empty: there is none.
        marks: (ISO day, text).
        unit: "%" shows shares in percent; "k" thousands; "": numbers as they are, from the lowest.
    """
    known = [value for value in values if value is not None] + [edge for pair in band if pair for edge in pair]
    low, high, ticks = _axis(known or [0.0, 1.0], from_zero=bool(unit))
    first, span = date.fromisoformat(days[0]).toordinal(), max((len(days) - 1) * 7, 7)

    def x(day: str) -> float:
        return LEFT + (date.fromisoformat(day).toordinal() - first) / span * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (height - TOP - BOTTOM)

    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(t):.1f}" y2="{y(t):.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y(t) + 4:.1f}" text-anchor="end">{_tick(t, unit)}</text>'
        for t in ticks
    ]
    every = max(1, round(len(days) / 4))
    parts += [
        f'<text class="tick" x="{x(day):.1f}" y="{height - 8}" text-anchor="middle">'
        f"{date.fromisoformat(day):%b} {date.fromisoformat(day).day}</text>"
        for day in days[: len(days) - every // 2 : every]
    ]
    for run in _runs([None if pair is None else (day, *pair) for day, pair in zip(days, band, strict=False)]):
        edge = [f"{x(day):.1f},{y(top):.1f}" for day, _, top in run]
        edge += [f"{x(day):.1f},{y(bottom):.1f}" for day, bottom, _ in reversed(run)]
        parts.append(f'<polygon class="band" points="{" ".join(edge)}"/>')
    for line in _runs([None if value is None else (day, value) for day, value in zip(days, values, strict=True)]):
        points = " ".join(f"{x(day):.1f},{y(value):.1f}" for day, value in line)
        parts.append(f'<polyline class="line first" points="{points}"/>')
        parts += [f'<circle class="dot first" cx="{x(day):.1f}" cy="{y(value):.1f}" r="3"/>' for day, value in line]
    for day, text in marks:
        at = min(max(x(day), LEFT), WIDTH - RIGHT)
        side = "end" if at > WIDTH * 0.8 else "start"
        parts += [
            f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 8}" y2="{height - BOTTOM}"/>',
            f'<text class="tick" x="{at + (5 if side == "start" else -5):.1f}" y="{TOP - 10}" text-anchor="{side}">'
            f"{escape(text)}</text>",
        ]
    return Markup(  # noqa: S704 - every number is ours, every text was escaped
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _axis(known: Sequence[float], *, from_zero: bool) -> tuple[float, float, list[float]]:
    """Ends and ticks in round steps."""
    bottom, top = (0.0 if from_zero else min(known)), max(known)
    scale = 10.0 ** max(0, len(str(int(top))) - 1)  # of counts
    step = next((s for s in (a * scale for a in STEPS) if top - bottom <= MOST_STEPS * s), STEPS[-1] * scale)
    low, high = int(bottom // step), int(top // step) + 1
    return low * step, high * step, [tick * step for tick in range(low, high + 1)]


def _runs(values: Sequence[T | None]) -> list[list[T]]:
    """What stands together between gaps."""
    runs: list[list[T]] = [[]]
    for value in values:
        if value is None:
            runs.append([])
        else:
            runs[-1].append(value)
    return [run for run in runs if run]


def _tick(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.0%}" if value >= 0.01 or value == 0 else f"{value:.1%}"
    if unit == "k":
        return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
    return f"{value:.2f}".removeprefix("0")
