"""Sort the channels of a trained generator by importance, and cut sub-generators out of it.

Paper: Anycost GAN (Lin et al., CVPR 2021), section 3.2. Lab: anycost_gan.
"""

import torch
from torch import Tensor

from tinylib.gan.generator import LAST, Config, Generator
from tinylib.gan.modulated import ModulatedConv2d
from tinylib.nas.elastic import importance, permute_channels, sorted_order


def listened(layer: ModulatedConv2d, w: Tensor) -> Tensor:
    """How much a layer listens to each of its input channels: L1 norm of the weight times the mean |style| over w (n, d); sums to 1."""
    with torch.no_grad():
        score = importance(layer.weight) * layer.style(w).abs().mean(0)
    return score / score.sum()


def readers_of(net: Generator, i: int) -> list[ModulatedConv2d]:
    """The layers that read convolution i's output (-1: the constant)."""
    following = [net.convs[i + 1]] if i + 1 < len(net.convs) else []
    return following + ([net.colours[list(LAST.values()).index(i + 1)]] if i + 1 in LAST.values() else [])


def sort_channels(net: Generator, w: Tensor) -> list[Tensor]:
    """Reorder all hidden channels in place by falling importance, from the last layer back; the full output stays as it is.

    Moved together: weight and bias of the layer that makes a channel; weight columns and style rows of those that read it.
    `w` (n, d): mapped latents for the mean style. Returns the orders, the constant's first; apply them to a copy with `reorder`.
    """
    orders = []
    for i in range(len(net.convs) - 1, -2, -1):
        order = sorted_order(sum(listened(layer, w) for layer in readers_of(net, i)))
        _move(net, i, order)
        orders.insert(0, order)
    return orders


def reorder(net: Generator, orders: list[Tensor]) -> None:
    """Apply the orders of `sort_channels` to another generator in place, such as the moving average."""
    for i, order in enumerate(orders):
        _move(net, i - 1, order)


def _move(net: Generator, i: int, order: Tensor) -> None:
    readers = readers_of(net, i)
    permute_channels(order, makers=[net.convs[i] if i >= 0 else net.constant, *(r.style for r in readers)], readers=readers)


@torch.no_grad()
def extract(net: Generator, config: Config) -> Generator:
    """Stand-alone generator with the sub-generator's weights and nothing else; gives the same pictures."""
    small = Generator(widths=config.channels(net.widths), resolution=config.resolution, latent=net.latent, depth=len(net.mapping) // 2)
    small.to(next(net.parameters()).dtype)
    source = net.state_dict()
    for name, tensor in small.state_dict().items():
        tensor.copy_(source[name][tuple(slice(0, s) for s in tensor.shape)])
    return small.train(net.training)
