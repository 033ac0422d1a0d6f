"""Seeds depend on every name and on nothing else."""

import torch

from tinylib.core.seed import derive, generator, rng, seed_everything


def test_derived_seeds_are_fixed_for_ever():
    assert derive(0, "a") == int.from_bytes(__import__("hashlib").sha256(b"0/a").digest()[:8], "big") >> 1


def test_every_name_counts_and_their_order():
    seeds = {derive(0), derive(1), derive(0, "a"), derive(0, "b"), derive(0, "a", "b"), derive(0, "b", "a")}
    assert len(seeds) == 6 and all(0 <= s < 2**63 for s in seeds)


def test_generators_repeat():
    assert rng(3, "x").integers(1 << 30) == rng(3, "x").integers(1 << 30)
    assert torch.equal(torch.rand(4, generator=generator(3, "x")), torch.rand(4, generator=generator(3, "x")))


def test_seed_everything_sets_all_three():
    import random

    import numpy as np
    draws = []
    for _ in range(2):
        seed_everything(7)
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]
