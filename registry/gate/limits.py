"""What a candidate may lose. `python -m benchmarks.gate` measures what these numbers do."""

from typing import Final

# Four weeks of flights know a difference of AUC to .0011: an equal candidate passes a margin of .003 in 8 of 10 months,
# one of .002 in 6.
AUC: Final = 0.003
LOG_LOSS: Final = 0.003  # nats a row: what an AUC of .003 is worth on the flights, .0026 to .003
CALIBRATION: Final = 0.02  # probability that the mean score may be further off than the champion's
SLICE_AUC: Final = 0.02  # of a slice: small ones differ by .01 by chance
LEAST_DAYS: Final = 28  # with labels: traffic has weekly habits, and fewer days know no standard error
LEAST_OF_CLASS: Final = 100  # rows of each class, of all and of a slice that is judged
LEAST_SLICE_DAYS: Final = 14
LATENCY: Final = 1.5  # times the champion's, of one row and of many
BYTES: Final = 2.0  # times the champion's
SAME_SCORE: Final = 1e-6  # of a row alone and among others: what another order of summation does
