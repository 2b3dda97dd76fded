"""Faults of the data, found as faults: each detector compares newest hours with what has no season, and names a cause.

scene.py    the hours of a model as tables
detect.py   the registry, and one look with all of them
"""
