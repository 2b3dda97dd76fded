"""What the monitor's page makes of a report: its headline, the remedy, the table of slices, the faults of the data.

Values in, values out: no clock, no database.
"""
