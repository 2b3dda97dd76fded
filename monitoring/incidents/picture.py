"""The report as time lines: the fault at the left, a mark where each seed was first alarmed. SVG, light and dark."""

import math
from typing import Final
from xml.sax.saxutils import escape

from contracts.reports.incidents import IncidentResult, IncidentsReport

WIDTH, LEFT, RIGHT, ROW, TOP = 960, 230, 200, 26, 64
HOURS: Final = (0.1, 0.3, 1, 3, 6, 12, 24, 48, 96, 168, 336, 720)
_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#222}.dim{fill:#667;font-size:12px}.grid{stroke:#ccd}"
    ".page{fill:#c0392b}.ticket{fill:#d68910}.limit{stroke:#2e86c1;stroke-width:2}.miss{fill:#889}"
    "@media(prefers-color-scheme:dark){svg{background:#14171c}text{fill:#e6e6e6}.dim,.miss{fill:#9ab}.grid{stroke:#345}}"
)


def drawn(report: IncidentsReport) -> str:
    """An SVG of its own. A silent incident's marks are false alarms."""
    height = TOP + ROW * len(report.incidents) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Hours from each fault to its first alarm"><style>{_STYLE}</style>',
        f'<text x="12" y="24" font-weight="600">From fault to first alarm: {escape(report.task)}</text>',
        '<text class="dim" x="12" y="44">A mark is one seed: red pages, orange writes a ticket. '
        "Blue: the time it has. At the right: noticed in time, cause named rightly.</text>",
    ]
    bottom = TOP + ROW * len(report.incidents)
    for hours in HOURS:
        name = f"{60 * hours:g} min" if hours < 1 else f"{hours} h" if hours < 96 else f"{hours // 24} d"
        parts.append(f'<line class="grid" x1="{_x(hours)}" x2="{_x(hours)}" y1="{TOP - 6}" y2="{bottom}"/>')
        parts.append(f'<text class="dim" x="{_x(hours)}" y="{bottom + 18}" text-anchor="middle">{name}</text>')
    for place, one in enumerate(report.incidents):
        parts += _row(one, TOP + ROW * place + ROW / 2)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(one: IncidentResult, y: float) -> list[str]:
    silent = one.kind == "silent"
    summary = f"{one.detected} of {one.seeds}, cause {one.named_cause_right}" if not silent else (
        f"{one.detected} of {one.seeds} alarmed, falsely"
    )  # fmt: skip
    x = _x(one.limit_hours)
    parts = [
        f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(one.name)}</text>',
        f'<text class="dim" x="{WIDTH - RIGHT + 14}" y="{y + 4}">{summary}</text>',
    ]
    if not silent:
        parts.append(f'<line class="limit" x1="{x}" x2="{x}" y1="{y - 9}" y2="{y + 9}"/>')
    for run in one.runs:
        if run.hours is not None:
            title = escape(f"seed {run.seed}: {run.detector} {run.subject} after {run.hours:g} h")
            parts.append(
                f'<circle class="{run.severity}" cx="{_x(run.hours)}" cy="{y}" r="4.5" fill-opacity=".6">'
                f"<title>{title}</title></circle>"
            )
    if all(run.hours is None for run in one.runs):
        parts.append(f'<text class="miss" x="{LEFT + 6}" y="{y + 4}">{"silent" if silent else "not noticed"}</text>')
    return parts


def _x(hours: float) -> float:
    share = math.log(max(hours / HOURS[0], 1)) / math.log(HOURS[-1] / HOURS[0])
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)
