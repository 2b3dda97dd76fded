"""A matplotlib figure addressed in pixels from its top left corner, in Grafana's dark colours."""

from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font_names
from matplotlib.patches import FancyBboxPatch, Rectangle

PAGE, PANEL, BORDER, TEXT, DIM, GRID = "#111217", "#181b1f", "#2a2d33", "#d5d5e0", "#8e8fa0", "#26292f"
DPI: Final = 100
_FONTS: Final = ("Inter", "Roboto", "Liberation Sans", "Arial", "DejaVu Sans")  # the last comes with matplotlib


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels; `top` counts from the figure's top."""

    left: float
    top: float
    width: float
    height: float

    def inner(self, left: float, top: float, right: float, bottom: float) -> "Box":
        return Box(self.left + left, self.top + top, self.width - left - right, self.height - top - bottom)


class Canvas:
    """A figure addressed in pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAGE)
        family = next((name for name in _FONTS if name in set(get_font_names())), "DejaVu Sans")
        self._fonts = {
            bold: FontProperties(family=family, weight="bold" if bold else "normal") for bold in (True, False)
        }

    def axes(self, box: Box) -> Axes:
        rectangle = (
            box.left / self.width,
            1 - (box.top + box.height) / self.height,
            box.width / self.width,
            box.height / self.height,
        )
        return self.figure.add_axes(rectangle, facecolor="none")

    def text(self, x: float, y: float, text: str, size: float, color: str = TEXT, **style: Any) -> float:
        """`size` in pixels; y is the middle of the line. Returns the width in pixels."""
        font = self._fonts[style.pop("bold", False)].copy()
        font.set_size(size * 72 / DPI)
        style = {"ha": "left", "va": "center", **style}
        drawn = self.figure.text(x / self.width, 1 - y / self.height, text, color=color, fontproperties=font, **style)
        return float(drawn.get_window_extent().width)

    def rectangle(self, box: Box, color: str, *, edge: str = "none", radius: float = 0) -> None:
        bottom = self.height - box.top - box.height
        patch: Rectangle | FancyBboxPatch = (
            FancyBboxPatch(
                (box.left + radius, bottom + radius),
                box.width - 2 * radius,
                box.height - 2 * radius,
                boxstyle=f"round,pad={radius}",
            )
            if radius
            else Rectangle((box.left, bottom), box.width, box.height)
        )
        patch.set(facecolor=color, edgecolor=edge, linewidth=0.8, transform=None, zorder=0)
        self.figure.add_artist(patch)
