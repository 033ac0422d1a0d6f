"""Which sub-generator comes nearest to the full one within a budget of MACs?  Lab: anycost_gan."""

import numpy as np
import torch
from torch import Tensor

from tinylib.gan.generator import FULL, RATIOS, RESOLUTIONS, SIDES, Config, Generator, macs
from tinylib.search.evolution import Found, evolve
from tinylib.search.space import Gene, Space

FULL_SIZE = Space(tuple(Gene(f"r{i}", RATIOS) for i in range(len(SIDES))))


@torch.no_grad()
def squared_error(net: Generator, config: Config, z: Tensor) -> Tensor:
    """(b,): mean squared difference to the full output for the same z and the same noise, at the configuration's resolution."""
    w = net.mapping(z)
    full = net.synthesis(w, FULL)[RESOLUTIONS.index(config.resolution)]
    return (net.synthesis(w, config)[-1] - full).square().mean((1, 2, 3))


def search(net: Generator, z: Tensor, budget: int, *, rng: np.random.Generator, population: int = 24, generations: int = 8) -> Found:
    """Evolution over the ratios at 32 pixels: least squared error over z (b, d) among sub-generators of at most `budget` MACs."""
    with torch.no_grad():
        w = net.mapping(z)
        full = net.synthesis(w)[-1]
        seen: dict[Config, float] = {}

        def score(candidate: dict) -> float:
            config = as_config(candidate)
            if config not in seen:
                seen[config] = -(net.synthesis(w, config)[-1] - full).square().mean().item()
            return seen[config]

        return evolve(FULL_SIZE, score, lambda c: macs(as_config(c), widths=net.widths), budget, rng=rng, population=population,
                      generations=generations)


def as_config(candidate: dict) -> Config:
    """The configuration of a candidate of FULL_SIZE."""
    return Config(tuple(candidate[f"r{i}"] for i in range(len(SIDES))))
