"""The log by the hour: what the rows of one hour, model and role add up to, and nothing of single rows.

hour.py       the sums, and their bytes
yardstick.py  how rows are counted, from the model's artifact
relations.py  features that tell each other, found in its sample of training rows
count.py      rows -> hours
"""
