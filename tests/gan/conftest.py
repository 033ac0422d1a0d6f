"""A generator that hides nothing, for all tests of the room."""

import pytest
import torch

from tinylib.core.seed import generator
from tinylib.gan.generator import Generator


@pytest.fixture
def net():
    """A float64 generator whose biases, noise strengths and styles are not zero, so that nothing hides."""
    model = Generator(seed=3).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=generator(1, p.shape), dtype=p.dtype) * 0.1)
    return model.eval()
