"""Attention and language: what is done to sentences."""
