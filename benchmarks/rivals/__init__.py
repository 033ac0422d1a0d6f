"""Pinned rivals, one text file per environment; `ensure` makes the environment beside the course's own."""
