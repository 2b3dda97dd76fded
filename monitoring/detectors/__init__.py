"""Faults of the data, found as faults: newest hours against the same hours of the days before, and a named cause.

scene.py    the newest block of hours and those of the days before
detect.py   the registry, and one look with all detectors
judged.py   the form of what a detector says
missing.py  values that do not come; a stream that has ended
stuck.py    one value for too long
numbers.py  another unit, swapped columns, marks for what is not known; units.py has the conversions
clock.py    minutes of the day against the hour of arrival
names.py    categories
flow.py     rows that do not come, or come twice
labels.py   labels that do not come, come late, mean the opposite
"""

from monitoring.detectors.detect import DETECTORS as DETECTORS
