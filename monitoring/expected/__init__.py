"""What quality this window of traffic deserves, and whether the model has it.

    totals.py       hours summed to local days and to the newest 24 hours, by slice
    windows.py      quality of 1, 7 and 28 days, measured and estimated
    paired.py       is this model worse than its reference scorer, compared with its release? (sequential)
    gap.py          is measured quality what the scores promise? (28 days)
    calibration.py  are the probabilities right? (28 days, and sequential beside the reference scorer)
    challenger.py   would a model of today's labels be better? (28 days)
    many.py         the same question for many slices
    limits.py       every number that decides, with its reason
    judge.py        all of it

Pure: hours in, answers out; no clock, no file. Unknown has a reason and is never "ok".
"""

from monitoring.expected.judge import judge

__all__ = ["judge"]
