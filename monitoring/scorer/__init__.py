"""The small gradient-boosted scorer that a model is measured against, row by row, on the rows that it scored.

trees.py       grows it, in the pipeline
reference.py   runs the one of the artifact
challenger.py  grows on top of it what the log's labels teach, and to_date.py keeps one a week
"""
