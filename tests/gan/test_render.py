"""The generator made ready to draw gives the pictures of the generator, for every slice."""

import pytest
import torch

from tinylib.core.seed import generator
from tinylib.gan import render
from tinylib.gan.generator import FULL, Config, Generator

CONFIGS = [FULL, Config.uniform(1 / 2, 16), Config.uniform(1 / 4, 8), Config((1 / 4, 1, 1 / 2, 3 / 4, 1 / 4))]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_ready_to_draw_is_the_same_picture(net, config, batch):
    z = torch.randn(batch, 64, generator=generator(2), dtype=torch.float64)
    drawer, before = render.renderer(net, config), {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        want = net(z, config)
    got = drawer(z)
    torch.testing.assert_close(got, want, atol=1e-11, rtol=0)
    torch.testing.assert_close(drawer(z), got, atol=0, rtol=0)       # nothing that is kept was overwritten
    assert not got.requires_grad and all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_gain_that_misses_bias_and_noise_is_seen(net):
    z = torch.randn(2, 64, generator=generator(2), dtype=torch.float64)
    drawer = render.renderer(net)
    drawer.base0 /= render.GAIN
    assert (drawer(z) - net(z)).abs().max() > 1e-3


def test_training_the_generator_later_leaves_the_drawing():
    net, z = Generator(seed=1).eval(), torch.randn(2, 64, generator=generator(2))
    drawer = render.renderer(net)
    before = drawer(z)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(1.0)
    assert torch.equal(drawer(z), before)


def operators(net, z):
    """How many operators that compute something one picture takes; views are none."""
    from torch.utils._python_dispatch import TorchDispatchMode

    views, seen = ("view", "slice", "unsqueeze", "permute", "expand", "select", "split", "t.", "transpose", "detach", "alias"), []

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if not function.__name__.startswith(views) and "view" not in function.__name__:
                seen.append(function.__name__)
            return function(*args, **(kwargs or {}))

    with torch.no_grad(), Counting():
        net(z)
    return len(seen)


def test_it_takes_less_than_half_of_the_operators():
    net, z = Generator(seed=1).eval(), torch.randn(1, 64, generator=generator(2))
    assert 0 < 2 * operators(render.renderer(net), z) < operators(net, z)
