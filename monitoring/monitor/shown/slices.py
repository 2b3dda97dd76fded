"""The slices of a model's rows, the worst first."""

from dataclasses import dataclass
from typing import Final

from contracts.reports.watching import Instrument, State, WatchedModel, WindowQuality

DAYS: Final = 28
MOST: Final = 12  # that are shown at once
_ORDER: Final[tuple[State, ...]] = ("page", "ticket", "ok", "unknown")


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One slice in the longest window.

    Attributes:
        state: the worst of its instruments; unknown where none could judge it.
        why: of the instrument that is not ok, or why nothing is known.
    """

    window: WindowQuality
    state: State
    why: str

    @property
    def name(self) -> str:
        return self.window.slice

    @property
    def coverage(self) -> float | None:
        """Share of the rows whose label has had its time that have one; None: no such rows."""
        return self.window.labelled / self.window.mature if self.window.mature else None

    @property
    def gap(self) -> float | None:
        """Measured less expected AUC; None: one of them is not known."""
        auc, expected = self.window.auc, self.window.expected_auc
        return None if auc is None or expected is None else auc - expected


def slice_rows(model: WatchedModel) -> list[SliceRow]:
    """Worst state first, then by how far quality is below what is expected."""
    instruments: dict[str, list[Instrument]] = {}
    for one in model.instruments:
        instruments.setdefault(one.slice, []).append(one)
    windows = [one for one in model.windows if one.slice and one.days == DAYS]
    return sorted((_row(one, instruments.get(one.slice, [])) for one in windows), key=_worst)


def _row(window: WindowQuality, instruments: list[Instrument]) -> SliceRow:
    worst = min(instruments, key=lambda one: _ORDER.index(one.state), default=None)
    state: State = "unknown" if worst is None or (window.auc is None and worst.state == "ok") else worst.state
    why = window.why if worst is None or (state == "unknown" and window.why) else worst.why
    return SliceRow(window, state, why)


def _worst(row: SliceRow) -> tuple[int, float, str]:
    return _ORDER.index(row.state), 1.0 if row.gap is None else row.gap, row.name
