"""Health: what alarms when nothing is wrong, and how often the estimate's interval holds what is measured.

Quiet years are drawn from the healthy days, whole weeks of consecutive days at a time: weather lasts days, and traffic
has weekly habits. What lasts longer, a season or an ageing model, is in the half-year as it was, and not in them.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.expected import limits, many
from monitoring.expected.calibration import SEQUENTIAL_LIMIT, Calibration, calibration
from monitoring.expected.challenger import challenger
from monitoring.expected.gap import gaps
from monitoring.expected.paired import PAGE_LIMIT, paired_days
from monitoring.expected.totals import Days
from monitoring.expected.windows import measure_gap
from monitoring.statistics import histograms, sequential
from monitoring.statistics.expectation import Expectation, Release

Bools = NDArray[np.bool_]
Places = NDArray[np.int64]
YEAR: Final = 364
_BLOCK: Final = 7
_EPISODE: Final = 28  # an alarm that comes back within so many days is the same ticket
_LABELS: Final = 100  # of each class
_ARRAYS: Final = ("counts", "score_sum", "loss", "challenger", "paired", "relative")


def looks_of(days: Days, places: Places, rows: Places) -> Days:
    """Windows at these places [looks, d] as if each were a slice, of these slices: one call judges them all."""
    arrays = [getattr(days, name)[rows][:, places] for name in _ARRAYS]
    arrays = [values.reshape(-1, *values.shape[2:]) for values in arrays]
    return Days(tuple(map(str, range(len(arrays[0])))), days.days[: places.shape[1]], *arrays)


def half_year(days: Days, release: Release) -> dict[str, Any]:
    """The healthy months as they were, looked at each day, all slices included."""
    found: dict[str, list[int]] = {}
    looks = range(limits.LEAST_DAYS, len(days.days) + 1)
    for end in looks:
        known = part_of(days, max(0, end - limits.KEPT_DAYS), end)
        window = known.newest(limits.DAYS)
        told = (
            *paired_days(known, release),
            *gaps(window, measure_gap(window), _LABELS),
            *calibration(window, release, _LABELS),
            challenger(window),
        )
        for one in told:
            if one.state in ("ticket", "page"):
                found.setdefault(f"{one.state} {one.question} {one.slice}".strip(), []).append(end)
    return {
        "days": len(days.days),
        "looks": len(looks),
        "alarms": {name: {"looks": len(ends), "episodes": episodes(ends)} for name, ends in found.items()},
        "pages": sum(episodes(ends) for name, ends in found.items() if name.startswith("page")),
        "tickets": sum(episodes(ends) for name, ends in found.items() if name.startswith("ticket")),
        "months": round(len(days.days) / 30.4, 1),
    }


def part_of(days: Days, first: int, end: int) -> Days:
    """Consecutive ones."""
    return Days(days.names, days.days[first:end], *(getattr(days, name)[:, first:end] for name in _ARRAYS))


def episodes(looks: list[int]) -> int:
    """How many tickets these days of alarm are."""
    return sum(1 for before, now in zip([-(10**6), *looks], looks, strict=False) if now - before > _EPISODE)


@dataclass(frozen=True, slots=True)
class Years:
    """Which looks of quiet years were alarms: [years, looks] by what alarmed."""

    alarms: dict[str, Bools]
    every: dict[str, int]  # days between looks

    def report(self) -> dict[str, Any]:
        """Episodes a year, and the share of years with any, with its Wilson interval."""
        found = {}
        for name, bad in self.alarms.items():
            count = [episodes((np.flatnonzero(year) * self.every[name]).tolist()) for year in bad]
            years = int(np.count_nonzero(count))
            found[name] = {
                "years": len(bad),
                "looks_every_days": self.every[name],
                "a_year": round(float(np.mean(count)), 4),
                "years_with_any": years,
                "share": round(years / len(bad), 4),
                "wilson_95": wilson(years, len(bad)),
            }
        return found


def quiet_years(days: Days, release: Release, years: int, slice_years: int, seed: int = 0) -> Years:
    """Alarms in resampled years. Windows of 28 days are looked at each week, sequential instruments each day."""
    rng = np.random.default_rng(seed)
    drawn = _draw(rng, len(days.days), years)
    alarms = {"page paired": _detector(days, 0, release.loss, drawn) >= math.log(PAGE_LIMIT)}
    alarms["ticket calibration, beside the reference"] = _relative(days, release, drawn)
    weekly: dict[str, list[Bools]] = {}
    for year in drawn:
        for name, bad in _windows(looks_of(days, _looks(year), np.array([0]))).items():
            weekly.setdefault(name, []).append(bad)
    alarms |= {name: np.stack(found) for name, found in weekly.items()}
    every = {name: _BLOCK if name in weekly else 1 for name in alarms}
    alarms["ticket paired, any slice"] = _paired_slices(days, release, drawn[:slice_years])
    alarms |= _slice_windows(days, drawn[:slice_years])
    return Years(alarms, every | {name: _BLOCK for name in alarms if name not in every})


def _draw(rng: np.random.Generator, days: int, years: int) -> Places:
    starts = rng.integers(0, days - _BLOCK + 1, (years, YEAR // _BLOCK))
    return (starts[:, :, None] + np.arange(_BLOCK)).reshape(years, YEAR)


def _looks(year: Places) -> Places:
    ends = np.arange(limits.DAYS, YEAR + 1, _BLOCK)
    found: Places = year[ends[:, None] - limits.DAYS + np.arange(limits.DAYS)]
    return found


def _detector(days: Days, s: int, expected: Expectation | None, drawn: Places) -> NDArray[np.float64]:
    if expected is None:
        return np.full(drawn.shape, np.nan)
    excess = expected.excess(days.paired[s], days.labelled[s], limits.PAIRED_TOLERANCE)
    return sequential.log_detector(excess[drawn])


def _relative(days: Days, release: Release, drawn: Places) -> Bools:
    bad = np.zeros(drawn.shape, bool)
    if release.score is None:
        return bad
    for sign in (1, -1):
        side = Expectation(sign * release.score.mean, release.score.sd, release.score.days, release.score.rows)
        excess = side.excess(sign * days.relative[0], days.labelled[0], limits.SCORE_TOLERANCE)
        bad |= sequential.log_detector(excess[drawn]) >= math.log(SEQUENTIAL_LIMIT)
    return bad


def _windows(looks: Days) -> dict[str, Bools]:
    """Of all rows; the looks are the slices."""
    gap, off = measure_gap(looks), Calibration.of(looks, _LABELS)
    total, rows = looks.challenger[:, :, 0], looks.challenger[:, :, 1]
    lead = total.sum(1) / rows.sum(1)
    rest = (total.sum(1)[:, None] - total) / (rows.sum(1)[:, None] - rows)
    return {
        "ticket gap": np.abs(gap.measured - gap.expected) > limits.GAP_Z * gap.total_error,
        "ticket calibration": (off.deviate > limits.CALIBRATION_Z) | off.slope_is_off,
        "ticket challenger": lead > limits.CHALLENGER_Z * histograms.jackknife_error(rest.T),
    }


def _paired_slices(days: Days, release: Release, drawn: Places) -> Bools:
    year = math.log(sequential.year_limit(1.0))
    weekly = np.arange(_BLOCK - 1, YEAR, _BLOCK)
    slices = [release.slices.get(name) for name in days.names[1:]]
    detectors = [_detector(days, s, expected, drawn) for s, expected in enumerate(slices, start=1)]
    evidence = np.stack(detectors)[:, :, weekly] - year
    flat = evidence.reshape(len(evidence), -1).T
    found = [bool(many.named(look, limits.TICKET_RATE).any()) for look in flat]
    return np.array(found).reshape(len(drawn), len(weekly))


def _slice_windows(days: Days, drawn: Places) -> dict[str, Bools]:
    slices = len(days.names) - 1
    found: dict[str, list[Bools]] = {"ticket gap, any slice": [], "ticket calibration, any slice": []}
    for year in drawn:
        looks = looks_of(days, _looks(year), np.arange(1, slices + 1))
        gap, off = measure_gap(looks), Calibration.of(looks, _LABELS)
        few = looks.counts.sum((1, 3))[:, 1:].min(1) < _LABELS
        value = np.where(few, np.nan, np.abs(gap.measured - gap.expected) / gap.total_error)
        for name, deviate in zip(found, (value, off.deviate), strict=True):
            table = many.log_e_value(deviate).reshape(slices, -1).T
            found[name].append(np.array([many.named(look).any() for look in table]))
    return {name: np.stack(bad) for name, bad in found.items()}


def coverage(days: Days) -> dict[str, Any]:
    """How often the stated 90 % interval of the estimate holds the measured AUC, over all sliding windows."""
    found = {}
    for size in (1, 7, limits.DAYS):
        ends = np.arange(limits.DAYS, len(days.days) + 1)
        longest = measure_gap(looks_of(days, ends[:, None] - limits.DAYS + np.arange(limits.DAYS), np.array([0])))
        counts = looks_of(days, ends[:, None] - size + np.arange(size), np.array([0])).counts.sum(1)
        gap = histograms.auc(counts[:, 1], counts[:, 2]) - histograms.expected_auc(counts[:, 1:].sum(1))
        error = longest.error_of(size)
        found[f"{size} days"] = {
            "windows": len(ends),
            "apart": len(days.days) // size,
            "covered": round(float((np.abs(gap) <= limits.INTERVAL_Z * error).mean()), 3),
            "half_width": round(float(limits.INTERVAL_Z * error.mean()), 4),
            "largest": round(float(np.abs(gap).max()), 4),
        }
    return found


def wilson(hits: int, count: int) -> list[float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return [round(max(0.0, middle - half), 5), round(min(1.0, middle + half), 5)]
