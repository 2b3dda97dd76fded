"""The gate's operating characteristic: how often a candidate passes, by what it loses. SVG, light and dark."""

from typing import Final
from xml.sax.saxutils import escape

from contracts.reports.gate import Characteristic, Drawn

WIDTH, LEFT, RIGHT, TOP, HEIGHT = 960, 70, 40, 60, 300
LOW, HIGH = -0.012, 0.022  # AUC
_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#222}.dim{fill:#667;font-size:12px}.grid{stroke:#ccd}"
    ".line{fill:none;stroke:#2e86c1;stroke-width:2}.dot{fill:#2e86c1}.whisker{stroke:#2e86c1}"
    ".margin{stroke:#c0392b;stroke-dasharray:5 4}"
    "@media(prefers-color-scheme:dark){svg{background:#14171c}text{fill:#e6e6e6}.dim{fill:#9ab}.grid{stroke:#345}}"
)


def draw(report: Characteristic) -> str:
    """The curve of candidates by their loss of AUC, and the others as lines of text below."""
    curve = [one for one in report.candidates if not one.slices]
    others = [one for one in report.candidates if one.slices]
    height = TOP + HEIGHT + 60 + 22 * len(others)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Share of candidates that pass the gate, by their loss of AUC"><style>{_STYLE}</style>',
        '<text x="12" y="24" font-weight="600">How often the gate lets a candidate pass</text>',
        f'<text class="dim" x="12" y="44">Months of {report.days} days, drawn; whiskers are 95 % intervals. '
        f"Red: the margin, {report.margin:g} AUC: 5 % at most may pass there.</text>",
    ]
    for share in (0, 0.05, 0.25, 0.5, 0.75, 1):
        y = _y(share)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="dim" x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
    for loss in (-0.01, -0.005, 0, 0.005, 0.01, 0.02):
        name = f"{loss:+g}" if loss else "no worse"
        parts.append(
            f'<text class="dim" x="{_x(loss)}" y="{TOP + HEIGHT + 22}" text-anchor="middle">{escape(name)}</text>'
        )
    at = _x(report.margin)
    parts.append(f'<line class="margin" x1="{at}" x2="{at}" y1="{TOP}" y2="{TOP + HEIGHT}"/>')
    points = " ".join(f"{_x(one.auc_loss)},{_y(one.share)}" for one in curve)
    parts.append(f'<polyline class="line" points="{points}"/>')
    for one in curve:
        x, title = _x(one.auc_loss), escape(f"{one.name}: {one.share:.1%} of {one.draws}")
        parts.append(f'<line class="whisker" x1="{x}" x2="{x}" y1="{_y(one.low)}" y2="{_y(one.high)}"/>')
        parts.append(f'<circle class="dot" cx="{x}" cy="{_y(one.share)}" r="4"><title>{title}</title></circle>')
    for place, one in enumerate(others):
        parts.append(f'<text x="{LEFT}" y="{TOP + HEIGHT + 56 + 22 * place}">{escape(_told(one))}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _told(one: Drawn) -> str:
    return f"{one.name}: {one.share:.1%} of {one.draws} pass ({one.low:.1%} to {one.high:.1%}), slices judged, too"


def _x(loss: float) -> float:
    return round(LEFT + (loss - LOW) / (HIGH - LOW) * (WIDTH - LEFT - RIGHT), 1)


def _y(share: float) -> float:
    return round(TOP + (1 - share) * HEIGHT, 1)
