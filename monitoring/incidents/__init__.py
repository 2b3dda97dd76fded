"""Faults put into real rows, and how long it takes until somebody hears of them.

traffic.py    rows of some hours that a fault changes
data.py       faults of inputs
outcomes.py   faults of labels and of models, and seasons that are none
catalogue.py  all of them by name: others add their own
simulator.py  the fault at a random hour, looked at hour by hour
rules.py      the same gauges under the real alert rules, by promtool
quiet.py      months without a fault: what fires there is false
measure.py    the catalogue over seeds -> the report
picture.py    the report as time lines
"""
