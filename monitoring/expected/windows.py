"""Quality of the newest 1, 7 and 28 days, all rows and each slice: measured, and what the scores alone promise.

One day is the newest 24 hours whose labels have had their time; 7 and 28 days are whole local days.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.reports.watching import WindowQuality
from monitoring.expected import limits
from monitoring.expected.totals import Days, Total
from monitoring.statistics import histograms

Floats = NDArray[np.float64]
WINDOWS: Final = (1, 7, limits.DAYS)


@dataclass(frozen=True, slots=True)
class Gap:
    """Measured less expected AUC of the longest window, and its error, of each slice [s]; NaN is unknown.

    Attributes:
        error: standard error of the difference by the jackknife over days: they share weather, rows do not.
    """

    measured: Floats
    expected: Floats
    error: Floats
    days: int

    @property
    def total_error(self) -> Floats:
        """With what a calibrated scorer is off in another season."""
        return self.error_of(max(1, self.days))

    def error_of(self, days: int) -> Floats:
        """Of a window of so many days: that of the longest, as days are nearly independent."""
        found: Floats = np.hypot(self.error * np.sqrt(self.days / days), limits.TRANSFER)
        return found


def measure_gap(days: Days) -> Gap:
    """Of whole days."""
    parts = np.moveaxis(days.counts[:, :, 1:], 1, 0)  # [d, s, 2, bins]
    total = parts.sum(0)
    rest = histograms.left_out(parts)
    left = histograms.auc(rest[:, :, 0], rest[:, :, 1]) - histograms.expected_auc(rest.sum(2))
    worked = int((days.labelled[0] > 0).sum())
    return Gap(
        histograms.auc(total[:, 0], total[:, 1]),
        histograms.expected_auc(total.sum(1)),
        histograms.jackknife_error(left) if worked >= limits.LEAST_DAYS else np.full(len(days.names), np.nan),
        worked,
    )


def day_windows(days: Days, gap: Gap, least_labels: int) -> list[WindowQuality]:
    """Of 7 and 28 whole days, without the rows that wait.

    Args:
        gap: of the longest window.
        least_labels: of each class, for an AUC.
    """
    return [
        one
        for count in WINDOWS[1:]
        for one in _windows(count, _of_days(days.newest(count)), _errors(days, gap, count), least_labels)
    ]


def newest_windows(newest: Total, days: Days, gap: Gap, least_labels: int) -> list[WindowQuality]:
    """Of the newest 24 hours."""
    return _windows(1, _of_newest(newest), _errors(days, gap, 1), least_labels)


def with_waiting(windows: list[WindowQuality], waiting: dict[str, int]) -> tuple[WindowQuality, ...]:
    """All rows first, then the slices by name; of each the windows in order. Rows that wait for labels are counted."""
    ordered = sorted(windows, key=lambda one: (one.slice, one.days))  # "" is all rows
    return tuple(msgspec.structs.replace(one, rows=one.mature + waiting.get(one.slice, 0)) for one in ordered)


def _errors(days: Days, gap: Gap, count: int) -> dict[str, float]:
    return dict(zip(days.names, gap.error_of(count).tolist(), strict=True))


def _windows(days: int, total: "_Sums", errors: dict[str, float], least_labels: int) -> list[WindowQuality]:
    measured = histograms.auc(total.counts[:, 1], total.counts[:, 2])
    expected = histograms.expected_auc(total.counts.sum(1))
    return [
        _one(days, total, s, (measured[s], expected[s], errors.get(name, np.nan)), least_labels)
        for s, name in enumerate(total.names)
    ]


@dataclass(frozen=True, slots=True)
class _Sums:
    names: tuple[str, ...]
    counts: NDArray[np.int64]  # [s, 3, bins]
    score_sum: Floats  # [s]
    loss: Floats  # [s, 2]


def _of_newest(total: Total) -> _Sums:
    return _Sums(total.names, total.counts, total.score_sum, total.loss)


def _of_days(days: Days) -> _Sums:
    return _Sums(days.names, days.counts.sum(1), days.score_sum.sum(1), days.loss.sum(1))


def _one(days: int, total: _Sums, s: int, values: tuple[float, float, float], least_labels: int) -> WindowQuality:
    by_label = total.counts[s].sum(1)
    mature, labelled = int(by_label.sum()), int(by_label[1:].sum())
    measured, expected, error = values
    why = _why(mature, int(by_label[1]), int(by_label[2]), least_labels)
    half = limits.INTERVAL_Z * error
    return WindowQuality(
        days=days,
        slice=total.names[s],
        rows=mature,
        mature=mature,
        labelled=labelled,
        auc=_known(measured) if not why else None,
        log_loss=_known(total.loss[s, 0] / total.loss[s, 1]) if total.loss[s, 1] else None,
        mean_score=float(total.score_sum[s] / labelled) if labelled else None,
        positive_share=float(by_label[2] / labelled) if labelled else None,
        expected_auc=_known(expected),
        expected_low=_known(expected - half),
        expected_high=_known(min(1.0, expected + half)),
        why=why,
    )


def _why(mature: int, negative: int, positive: int, least: int) -> str:
    if mature == 0:
        return "no rows whose labels have had their time"
    if negative + positive == 0:
        return f"none of {mature:,} rows has a label"
    if min(negative, positive) < least:
        return f"{positive:,} positive and {negative:,} negative labels, of each at least {least:,} are needed"
    return ""


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
