"""What the instruments of quality do: false alarms in health, coverage of the estimate, and power against a loss.

    python -m benchmarks.power            1,000 quiet years; --short: 50, for a look

Reads what the pipeline made (data/features.parquet, artifacts/). The release's own numbers are of the month before
`as_of`, by models that did not see it; everything that is reported is of the months after it. Tolerances and limits
(monitoring/expected/limits.py) say which of both they were chosen on. Writes reports/benchmarks/power.json and
docs/benchmarks/power.png.

    scores.py    the scores of model, reference scorer and challenger-to-date
    quiet.py     health: as it was, and in years of resampled weeks
    losses.py    scores made worse, and when that is noticed
    picture.py
"""
