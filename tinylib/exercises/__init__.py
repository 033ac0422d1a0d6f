"""One module per lab: its exercises, questions and predictions."""
