"""A generator made ready to draw: what does not depend on the latent is computed once, when it is made.

At 32 pixels a picture is about a hundred small operators, and each has a price of its own. `Renderer` keeps the sums of squared weights, asks for
all styles and all demodulation factors in one product each, and folds bias, noise and the gain of the activation into one tensor. The same
pictures with less than half of the operators; weights lie channels-last, as this CPU's convolutions want them. Lab: anycost_gan.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.gan.generator import FULL, LAST, SIDES, Config, Generator, doubled
from tinylib.gan.modulated import EPS
from tinylib.gan.order import extract

GAIN = 2**0.5           # of the activation: leaky(y f + b) GAIN = leaky(y f GAIN + b GAIN), since it is positive


class Renderer(nn.Module):
    """Latents z (b, d) -> pictures (b, 3, side, side) of a generator with its fixed noise, for drawing only: no gradient."""

    def __init__(self, net: Generator):
        super().__init__()
        layers = [*net.convs, *net.colours]
        self.mapping, self.count = net.mapping, len(net.convs)
        keep = {"constant": net.constant(1, net.widths[0]), "style": torch.cat([layer.style.weight for layer in layers]),
                "bias": torch.cat([layer.style.bias for layer in layers]), "power": _powers(net), "floor": net.convs[0].weight.new_full((1,), EPS / GAIN**2)}
        for i, conv in enumerate(net.convs):
            keep[f"weight{i}"], keep[f"base{i}"] = conv.weight, (conv.bias[:, None, None] + conv.strength * getattr(net, f"noise{i}")) * GAIN
        for i, colour in enumerate(net.colours):
            keep[f"colour{i}"], keep[f"shift{i}"] = colour.weight[:, :, 0, 0].T, colour.bias
        for name, tensor in keep.items():
            form = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
            self.register_buffer(name, tensor.detach().clone(memory_format=form))
        self.inputs, self.outputs = [layer.weight.shape[1] for layer in layers], [conv.weight.shape[0] for conv in net.convs]

    @torch.no_grad()
    def forward(self, z: Tensor) -> Tensor:
        style = F.linear(self.mapping(z), self.style, self.bias)
        factor = torch.addmm(self.floor, style[:, :len(self.power)].square(), self.power).rsqrt_()
        styles, factors = style[:, :, None, None].split(self.inputs, 1), factor[:, :, None, None].split(self.outputs, 1)
        x, picture, index = self.constant, None, 0
        for i in range(self.count):
            if x.shape[-1] < SIDES[i]:
                x, picture = doubled(x), doubled(picture)
            y = F.conv2d(x * styles[i], getattr(self, f"weight{i}"), padding=1)
            x = F.leaky_relu_(torch.addcmul(getattr(self, f"base{i}"), y, factors[i]), 0.2)
            if i + 1 in LAST.values():
                colour = self.coloured(x, styles[self.count + index], index)
                picture, index = colour if picture is None else picture + colour, index + 1
        return picture

    def coloured(self, x: Tensor, style: Tensor, index: int) -> Tensor:
        """To colours: (b, c, h, w) -> (b, 3, h, w), one product of places and channels with a small matrix for each example."""
        places = x.permute(0, 2, 3, 1).flatten(1, 2)
        own = style[:, :, 0] * getattr(self, f"colour{index}")
        return torch.baddbmm(getattr(self, f"shift{index}"), places, own).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def _powers(net: Generator) -> Tensor:
    """Sums of squared weights of all convolutions, each a block (c, k) on the diagonal, over GAIN^2: factors come out with the gain."""
    return torch.block_diag(*(conv.weight.square().sum((2, 3)).T for conv in net.convs)) / GAIN**2


def renderer(net: Generator, config: Config = FULL) -> Renderer:
    """The sub-generator of a configuration, cut out and made ready to draw; gives the pictures of `net(z, config)`."""
    return Renderer(extract(net, config)).eval()
