"""Small networks of the course, built by factories with JSON arguments (a checkpoint's card names one)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.nn.blocks import InvertedResidual
from tinylib.nn.layers import ConvBNAct, initialise

GARMENT_STAGES = ((3, 16, 1, 1), (4, 24, 3, 2), (4, 40, 3, 2))      # expand, channels, blocks, stride of the first block


class GarmentNet(nn.Module):
    """Stride-2 stem, inverted residuals, 1x1 head, global average pool, linear layer.

    (n, c_in, h, w) -> logits (n, classes). Only convolution, BN, ReLU6, add, global average pool and linear: deployable in int8.
    """

    def __init__(self, *, classes: int = 10, c_in: int = 1, stem: int = 16, stages: Sequence[Sequence[int]] = GARMENT_STAGES, head: int = 96):
        super().__init__()
        self.stem = ConvBNAct(c_in, stem, 3, stride=2)
        blocks, width = [], stem
        for expand, channels, count, stride in stages:
            for index in range(count):
                blocks.append(InvertedResidual(width, channels, stride=stride if index == 0 else 1, expand=expand))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvBNAct(width, head, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(head, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.blocks(self.stem(x)))
        return self.classifier(self.flatten(self.pool(x)))


class PlainNet(nn.Sequential):
    """A chain of 3x3 conv-BN-ReLU layers without residuals (VGG-like), a max-pool where the width grows, and a linear layer.

    (n, c_in, h, w) -> logits (n, classes). `widths`: one layer each; the first has stride 2.
    """

    def __init__(self, *, classes: int = 10, c_in: int = 1, widths: Sequence[int] = (16, 16, 32, 32, 64)):
        super().__init__()
        before = c_in
        for index, width in enumerate(widths):
            if index and width > before:
                self.add_module(f"pool{index}", nn.MaxPool2d(2))
            self.add_module(f"layer{index}", ConvBNAct(before, width, 3, stride=2 if index == 0 else 1, act="relu"))
            before = width
        self.add_module("pool", nn.AdaptiveAvgPool2d(1))
        self.add_module("flatten", nn.Flatten())
        self.add_module("classifier", nn.Linear(before, classes))


def garment_net(**arguments) -> GarmentNet:
    """GarmentNet with torch's own initial weights; see the class for the arguments."""
    return GarmentNet(**arguments)


def plain_net(**arguments) -> PlainNet:
    """PlainNet with torch's own initial weights; see the class for the arguments."""
    return PlainNet(**arguments)


FACTORIES = {"garment_net": garment_net, "plain_net": plain_net}


def build(name: str, *, generator: torch.Generator | None = None, **arguments) -> nn.Module:
    """A network by the name of its factory; with `generator` its weights come from there and the global random state stays as it was."""
    if name not in FACTORIES:
        raise TinylibError(f"no network {name!r}; there are {', '.join(sorted(FACTORIES))}")
    if generator is None:
        return FACTORIES[name](**arguments)
    with torch.random.fork_rng(devices=[]):
        model = FACTORIES[name](**arguments)
    return initialise(model, generator)
