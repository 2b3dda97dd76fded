"""The pictures of the page as inline SVG: no library, no script, and colours that follow light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markupsafe import Markup, escape

WIDTH: Final = 520
HEIGHT: Final = 300
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LEFT, RIGHT, TOP, BOTTOM = 40, 106, 16, 34
LABEL_GAP: Final = 17  # between two lines of text
STEPS: Final = (0.01, 0.02, 0.05, 0.1, 0.2)
MOST_STEPS: Final = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart. `style` is a class of the page's style sheet; None in `values` is a gap."""

    name: str
    style: str
    values: Sequence[float | None]


def month_name(month: str) -> str:
    """Short English name: "2013-07" is "Jul"."""
    return MONTHS[int(month[5:7]) - 1]


def month_and_year(month: str) -> str:
    """Short English name with its year: "2013-07" is "Jul ’13"."""
    return f"{month_name(month)} ’{month[2:4]}"


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where month `i` and a value stand in the picture."""

    months: int
    low: float
    high: float

    def x(self, i: int) -> float:
        return LEFT + i * (WIDTH - LEFT - RIGHT) / max(self.months - 1, 1)

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def line_chart(title: str, months: Sequence[str], lines: Sequence[Line]) -> Markup:
    """Values by month, each line named at its end; the vertical axis spans what is there, in round steps."""
    known = [value for line in lines for value in line.values if value is not None] or [0.0, 1.0]
    step = next((step for step in STEPS if max(known) - min(known) <= MOST_STEPS * step), STEPS[-1])
    low, high = min(known) // step, max(known) // step + 1
    scale = _Scale(len(months), low * step, high * step)
    ends = _apart([scale.y(next((v for v in reversed(line.values) if v is not None), low * step)) for line in lines])
    parts = _axes(scale, months, [i * step for i in range(round(low), round(high) + 1)])
    for line, end in zip(lines, ends, strict=True):
        parts += _drawn(scale, line, end)
    return _svg(title, HEIGHT, parts)


def _axes(scale: _Scale, months: Sequence[str], ticks: Sequence[float]) -> list[str]:
    name = month_name if len({month[:4] for month in months}) == 1 else month_and_year
    return [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT + 8}" y1="{scale.y(t):.1f}" y2="{scale.y(t):.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{scale.y(t) + 4:.1f}" text-anchor="end">{_short(t)}</text>'
        for t in ticks
    ] + [
        f'<text class="tick" x="{scale.x(i):.1f}" y="{HEIGHT - 10}" text-anchor="middle">{name(month)}</text>'
        for i, month in enumerate(months)
    ]


def _drawn(scale: _Scale, line: Line, name_at: float) -> list[str]:
    points = [(scale.x(i), scale.y(value)) for i, value in enumerate(line.values) if value is not None]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    name = f'x="{WIDTH - RIGHT + 14}" y="{name_at + 4.5:.1f}">{escape(line.name)}'
    return [
        f'<polyline class="line {line.style}" points="{path}"/>',
        *(f'<circle class="dot {line.style}" cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>' for x, y in points),
        f'<text class="name {line.style}" {name}</text>',
    ]


def histogram(title: str, edges: Sequence[float], counts: Sequence[int], style: str, mark: float) -> Markup:
    """Share of requests by latency. Bins are drawn equally wide and named by their upper edge in ms.

    Args:
        counts: one more than `edges`; the last bin has no upper edge.
        mark: edge at which a line says what is promised.
    """
    height, right = 190, 12
    floor, total = height - BOTTOM, max(sum(counts), 1)
    wide = (WIDTH - LEFT - right) / len(counts)
    tallest = max(max(counts, default=0), 1)
    parts = []
    for i, count in enumerate(counts):
        tall = count / tallest * (floor - TOP - 34)
        left, middle = LEFT + i * wide, LEFT + (i + 0.5) * wide
        box = f'x="{left + 1.5:.1f}" y="{floor - tall:.1f}" width="{wide - 3:.1f}" height="{tall:.1f}" rx="1.5"'
        name = f"{edges[i]:g}" if i < len(edges) else "∞"
        parts += [
            f'<rect class="bar {style}" {box}/>',
            f'<text class="tick" x="{left + wide:.1f}" y="{height - 16}" text-anchor="middle">{name}</text>',
            f'<text class="value" x="{middle:.1f}" y="{floor - tall - 4:.1f}" text-anchor="middle">'
            f"{escape(_share(count / total))}</text>",
        ]
    at = LEFT + (list(edges).index(mark) + 1) * wide
    parts += [
        f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{floor + 4}"/>',
        f'<text class="tick" x="{at + 6:.1f}" y="{TOP + 8}">limit when alone</text>',
        f'<text class="tick" x="{LEFT}" y="{height - 16}" text-anchor="end">ms ≤</text>',
    ]
    return _svg(title, height, parts)


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else ""


def _svg(title: str, height: int, parts: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704 - every number is ours, every text was escaped
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _apart(positions: Sequence[float]) -> list[float]:
    """The positions, moved down just so far that no two texts overlap; then all up again if they left the picture."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    moved = list(positions)
    for above, below in pairwise(order):
        moved[below] = max(moved[below], moved[above] + LABEL_GAP)
    excess = max(max(moved, default=0) - (HEIGHT - BOTTOM + 4), 0)
    return [position - excess for position in moved]


def _short(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
