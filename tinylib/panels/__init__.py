"""One module per lab: its panels as plain functions."""
