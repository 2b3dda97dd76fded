"""Each model that answers, watched by its hours: what is wrong with its inputs, its labels, its quality.

look.py    one model's hours -> what is said of it; pure
models.py  which models the log's newest rows are of, their artifacts, their hours
"""
