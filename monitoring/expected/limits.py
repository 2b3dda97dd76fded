"""What decides between "ok" and an alarm. `python -m benchmarks.power` measures what these numbers do."""

from typing import Final

KEPT_DAYS: Final = 32  # whole days that five weeks of hours always hold, with a day begun and labels on their way
DAYS: Final = 28  # of the longest window: traffic has weekly habits, and a month of days says what one week cannot
LEAST_DAYS: Final = 14  # of it; fewer give no standard error that is worth the name
STALE_DAYS: Final = 3  # without enough labels, and what was found before says nothing of today

# Paired: in 2013 the 28-day mean of a sound model rose by up to .0043 nats over its release's; losing .01 AUC is .006.
PAIRED_TOLERANCE: Final = 0.004  # nats a row
# A sound model's order beside its reference's moves by .011 from week to week.
AUC_TOLERANCE: Final = 0.02
# False pages a year. Together .01: one in a hundred years.
PAGE_RATE_DAYS: Final = 0.008  # of the detector that looks at whole days
PAGE_RATE_HOURS: Final = 0.002  # of the look at the newest 24 hours, each hour
TICKET_RATE: Final = 0.1  # false tickets a year of each sequential question
HOURS_A_YEAR: Final = 8_760

# Gap: a calibrated scorer of other months is off by this much AUC beyond what days among themselves explain.
TRANSFER: Final = 0.01
INTERVAL_Z: Final = 1.645  # of the 90 % interval that is shown
GAP_DAYS: Final = 24  # of the longest window with labels: with a week missing, 9 of 50 sound models had a gap, now none
GAP_Z: Final = 2.2  # standard errors, two-sided: a false ticket a year; the healthy half-year reached 1.6

# Calibration: 28-day windows of 2013 are up to .06 off with a standard error of .012; nobody acts on less than .05.
SCORE_TOLERANCE: Final = 0.05  # probability
CALIBRATION_Z: Final = 2.58  # standard errors beyond the tolerance
SLOPES: Final = (0.67, 1.5)  # of label on logit; a sound model had .88 to 1.18

CHALLENGER_Z: Final = 2.33  # standard errors, one-sided
SLICE_SHARE: Final = 0.01  # of the slices that are named, so many may be false on average (e-BH)
