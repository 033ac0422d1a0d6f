"""Generative adversarial networks: how to make them cheap, elastic and data-efficient."""
