"""Randomness as an argument: generators made from a number and names, and the one place that seeds the global ones."""

import hashlib
import random

import numpy as np


def derive(seed: int, *names: object) -> int:
    """Child seed in [0, 2**63) that depends on `seed` and on every name; the same on every machine and Python."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def rng(seed: int, *names: object) -> np.random.Generator:
    """numpy generator for (seed, names)."""
    return np.random.default_rng(derive(seed, *names))


def generator(seed: int, *names: object):
    """CPU torch.Generator for (seed, names)."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *names))


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch. For the start of a lab or a recipe, never inside the library."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
