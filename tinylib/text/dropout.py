"""Dropout whose randomness is an argument."""

import torch
from torch import Tensor

from tinylib.core.errors import TinylibError


def dropout(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """x with a share `rate` of its elements at zero and the others divided by 1 - rate; x itself for rate 0."""
    if rate == 0:
        return x
    if generator is None:
        raise TinylibError("training with dropout draws numbers: pass generator=torch.Generator().manual_seed(...), or call eval()")
    return x * torch.empty_like(x).bernoulli_(1 - rate, generator=generator).div_(1 - rate)
