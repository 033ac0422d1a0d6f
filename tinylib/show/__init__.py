"""Palette, recurring plots, progress bar and the base of every panel; takes numbers, never a network."""
