"""Which model has which role: checked, then said in the database of the prediction log, then followed by replicas."""
