"""Whether a candidate may take the champion's place: a rule over evidence, not over points.

    rows.py         labelled rows that both models scored
    losses.py       what the candidate loses on them, with standard errors by days
    behaviour.py    what it does with rows made for it, and what it costs
    judge.py        the verdict
    limits.py       the margins, each with its reason

Pure: whoever asks brings the rows and the models. `python -m benchmarks.gate` measures how often it is wrong.
"""
