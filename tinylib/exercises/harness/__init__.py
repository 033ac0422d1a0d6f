"""One module per lab: functions that run a learner's code and return plain facts."""
