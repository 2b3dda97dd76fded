"""Alarms that may be looked at each day, with a false-alarm rate that holds for the whole year.

A day gives a number `excess`: how far its mean is above what is allowed, in standard deviations. Under health

    E[exp(bet * excess - bet**2 / 2) | days before] <= 1     for the bets below,

so each factor is an e-value, and a product of them a test martingale: a bet against health that gains nothing on
average (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"; Howard et al. 2021,
"Time-uniform, nonparametric, nonasymptotic confidence sequences", for the sub-Gaussian form). Bets end at 3: the
assumption is made of moments that half a year of days can be held against, not of tails that it has not seen.

A fault may begin on any day, so a new bet is placed each day, and the sum of all is what alarms: the e-detector of
Shin, Ramdas and Rinaldo (2023, "E-detectors: a nonparametric framework for sequential change detection"), here in the
form of Shiryaev and Roberts. Its sum less the number of days is a supermartingale, hence

    P(a false alarm within n days) <= n / limit,

and `year_limit(.01)`, 36,500, is at most one false alarm in a hundred years. It needs no restart, and forgets by
itself: days of health take the sum down again. Leaving out bets older than the window only lowers it.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BETS: Final[Floats] = np.array([0.5, 1.0, 2.0, 3.0])
FARTHEST: Final = 10.0  # standard deviations that one day may count at most
_LARGEST: Final = 1e300  # of an e-value that is told: JSON has no infinity
_DAYS: Final = 365


def year_limit(rate: float) -> float:
    """What a detector that looks once a day must reach, for so many false alarms a year.

    >>> round(year_limit(0.01))
    36500
    """
    return _DAYS / rate


def log_factors(excess: Floats) -> Floats:
    """[bets, ...]: the logarithm of each bet's factor of a day; 0 where the day is NaN, which is no evidence."""
    bets = BETS.reshape(-1, *[1] * np.ndim(excess))
    return np.nan_to_num(bets * np.minimum(excess, FARTHEST) - bets**2 / 2, nan=0.0)


def log_detector(excess: Floats) -> Floats:
    """[..., days]: logarithm of the detector after each day, of daily excesses [..., days]."""
    factors = log_factors(excess)
    known = ~np.isnan(excess)
    sums = np.full(factors.shape[:-1], -np.inf)
    found = np.empty(excess.shape)
    for day in range(excess.shape[-1]):
        step = np.where(known[..., day], np.logaddexp(sums, 0.0) + factors[..., day], sums)
        sums = step
        found[..., day] = np.logaddexp.reduce(sums, axis=0) - math.log(len(BETS))
    return found


def log_single(excess: Floats) -> Floats:
    """[...]: logarithm of the e-value of one day, all bets weighing the same."""
    found: Floats = np.logaddexp.reduce(log_factors(excess), axis=0) - math.log(len(BETS))
    return found


def likely_start(excess: Floats) -> int:
    """Index of the day from which on the evidence is greatest, of the days [d] to the newest.

    >>> likely_start(np.array([-1.0, -1.0, 2.0, 2.5]))
    2
    """
    since = np.cumsum(log_factors(excess)[:, ::-1], axis=1)[:, ::-1]
    return int(np.argmax(np.logaddexp.reduce(since, axis=0)))


def told(log_evidence: float) -> float:
    """The e-value itself, kept finite."""
    return min(math.exp(min(log_evidence, 700.0)), _LARGEST)


def e_bh(log_evidence: Floats, alpha: float) -> NDArray[np.bool_]:
    """Which of many e-values [k] are evidence, when so many were looked at (Wang and Ramdas 2022, e-BH).

    At most a share `alpha` of what is named is false on average, whatever the e-values have to do with each other.

    Args:
        log_evidence: NaN is unknown, and not counted as looked at.
    """
    known = np.flatnonzero(~np.isnan(log_evidence))
    named = np.zeros(len(log_evidence), bool)
    order = known[np.argsort(-log_evidence[known])]
    ranks = np.arange(1, len(order) + 1)
    enough = np.flatnonzero(log_evidence[order] >= np.log(len(order) / (ranks * alpha)))
    if len(enough):
        named[order[: enough[-1] + 1]] = True
    return named
