"""Are the probabilities right? Mean score less share of positives, and the slope; a ticket, remedied by recalibration.

Single days are off by .07, since a storm makes half of its rows late: it takes four weeks to say .05 of the world. The
model's mean score beside the reference scorer's on the same rows moves by .025 a day, so a release with a wrong
calibration is found in days by the second instrument, which is sequential.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.reports.watching import Instrument, State
from monitoring.expected import limits, many
from monitoring.expected.totals import ALL, Days
from monitoring.statistics import histograms, sequential
from monitoring.statistics.expectation import Expectation, Release

Floats = NDArray[np.float64]
UNIT: Final = "mean score less share of positives"
RELATIVE_UNIT: Final = "mean score less the reference scorer's, above the release"
SEQUENTIAL_LIMIT: Final = 2 * sequential.year_limit(limits.TICKET_RATE)  # one side or the other


def calibration(days: Days, release: Release, least_labels: int) -> tuple[Instrument, ...]:
    """All rows of the window, all rows beside the reference scorer, then the slices, worst first.

    Args:
        days: the longest window.
        least_labels: of each class.
    """
    found = Calibration.of(days, least_labels)
    evidence = many.log_e_value(found.deviate)
    bad = np.concatenate([found.deviate[:1] > limits.CALIBRATION_Z, many.named(evidence[1:])])
    bad[0] |= found.slope_is_off[0]
    all_ = [_one(days, s, found, evidence[s], bool(bad[s]), least_labels) for s in range(len(days.names))]
    return (all_[0], _relative(days, release.score), *many.worst_first(all_[1:]))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Mean score less share of positives, and the slope, of a window; arrays [s], NaN is unknown."""

    large: Floats
    large_error: Floats
    slope: Floats
    slope_error: Floats

    @classmethod
    def of(cls, days: Days, least_labels: int) -> "Calibration":
        labelled, positive = days.labelled, days.counts[:, :, 2].sum(2)
        rows = labelled.sum(1)
        unknown = np.minimum(rows - positive.sum(1), positive.sum(1)) < least_labels
        unknown |= (labelled > 0).sum(1) < limits.LEAST_DAYS
        off = days.score_sum - positive
        with np.errstate(divide="ignore", invalid="ignore"):
            large = off.sum(1) / rows
            left = (off.sum(1)[:, None] - off) / (rows[:, None] - labelled)
        parts = np.moveaxis(days.counts[:, :, 1:], 1, 0)
        total, rest = parts.sum(0), histograms.left_out(parts)
        slopes = histograms.calibration_slope(rest[:, :, 0], rest[:, :, 1])
        return cls(
            np.where(unknown, np.nan, large),
            np.where(unknown, np.nan, histograms.jackknife_error(left.T)),
            np.where(unknown, np.nan, histograms.calibration_slope(total[:, 0], total[:, 1])),
            np.where(unknown, np.nan, histograms.jackknife_error(slopes)),
        )

    @property
    def slope_is_off(self) -> NDArray[np.bool_]:
        """[s]: beyond what is allowed by more than its error explains."""
        low, high = limits.SLOPES
        half = limits.CALIBRATION_Z * self.slope_error
        return (self.slope + half < low) | (self.slope - half > high)

    @property
    def deviate(self) -> Floats:
        """[s]: standard errors that the mean is off beyond what is tolerated."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return (np.abs(self.large) - limits.SCORE_TOLERANCE) / self.large_error


def _one(days: Days, s: int, found: Calibration, log_evidence: float, bad: bool, least_labels: int) -> Instrument:
    value, error = float(found.large[s]), float(found.large_error[s])
    known = math.isfinite(value) and math.isfinite(error)
    state: State = "unknown" if not known else "ticket" if bad else "ok"
    slope = f", slope {found.slope[0]:.2f}" if s == 0 else ""
    return Instrument(
        question="calibration",
        slice=days.names[s],
        days=limits.DAYS,
        unit=UNIT,
        value=value if known else None,
        low=value - 1.96 * error if known else None,
        high=value + 1.96 * error if known else None,
        evidence=math.exp(log_evidence) if known and days.names[s] != ALL else None,
        limit=limits.SCORE_TOLERANCE + limits.CALIBRATION_Z * error if known else None,
        state=state,
        why=_why(days, s, value) + slope if known else _reason(days, s, least_labels),
    )


def _why(days: Days, s: int, value: float) -> str:
    rows, positive = int(days.labelled[s].sum()), int(days.counts[s, :, 2].sum())
    share = positive / rows
    return f"mean score {share + value:.3f}, share of positives {share:.3f} in {rows:,} rows"


def _reason(days: Days, s: int, least_labels: int) -> str:
    rows, positive = int(days.labelled[s].sum()), int(days.counts[s, :, 2].sum())
    if min(positive, rows - positive) < least_labels:
        return (
            f"{positive:,} positive and {rows - positive:,} negative labels, "
            f"of each at least {least_labels:,} are needed"
        )
    return f"fewer than {limits.LEAST_DAYS} days have labels"


def _relative(days: Days, released: Expectation | None) -> Instrument:
    value, rows = days.relative[0], days.labelled[0]
    recent = value[-limits.STALE_DAYS :]
    if released is None or np.isnan(value).all():
        why = "no reference scorer, or no labels" if released else "the release does not say what it was"
        return _relative_instrument(None, None, "unknown", why)
    mirrored = Expectation(-released.mean, released.sd, released.days, released.rows)
    sides = np.stack(
        [
            released.excess(value, rows, limits.SCORE_TOLERANCE),
            mirrored.excess(-value, rows, limits.SCORE_TOLERANCE),
        ]
    )
    evidence = float(sequential.log_detector(sides)[:, -1].max())
    above = float(np.nanmean(value[-7:]) - released.mean) if not np.isnan(value[-7:]).all() else math.nan
    if evidence >= math.log(SEQUENTIAL_LIMIT):
        return _relative_instrument(above, evidence, "ticket", f"{above:+.3f} in the newest 7 days")
    if np.isnan(recent).all():
        return _relative_instrument(
            None, evidence, "unknown", f"none of the newest {limits.STALE_DAYS} days has enough labels"
        )
    return _relative_instrument(above, evidence, "ok", f"{above:+.3f} in the newest 7 days")


def _relative_instrument(value: float | None, log_evidence: float | None, state: State, why: str) -> Instrument:
    return Instrument(
        question="calibration",
        slice=ALL,
        days=0,
        unit=RELATIVE_UNIT,
        value=None if value is None or math.isnan(value) else value,
        low=None,
        high=None,
        evidence=None if log_evidence is None else sequential.told(log_evidence),
        limit=SEQUENTIAL_LIMIT,
        state=state,
        why=why,
    )
