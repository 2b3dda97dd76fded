"""Each model that answers, watched by its hours: what is wrong with its inputs, its labels, its quality.

look.py    one model's hours -> what is said of it; pure
drift.py   what moved in its inputs this week, feature by feature; it describes, and alerts nobody
apart.py   the same over all features at once: trees that try to tell the weeks apart
models.py  which models the log's newest rows are of, their artifacts, their hours
"""
