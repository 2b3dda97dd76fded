"""The small gradient-boosted scorer that a model is measured against, row by row, on the rows that it scored.

trees.py     grows it: in the pipeline for the artifact, and weekly on the log's labels
reference.py runs the one of the artifact
"""
