"""Training with rounded weights and activations: forward sees the integers' values, backward looks straight through the rounding.

Bengio et al. 2013 (straight-through estimator); Jacob et al. 2018. What runs here is float arithmetic on rounded values ("fake
quantization"); `finish` gives the ordinary network whose weights lie on the grid, ready for `convert.quantize_model`.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tinylib.quantize.linear import Grid, activation_grid, weight_grid
from tinylib.quantize.ordinary import make_ordinary
from tinylib.quantize.trace import fold_model

Bits = int | None | Mapping[str, int]


class StraightThrough(torch.autograd.Function):
    """Round trip through a grid; the gradient passes unchanged where the value was inside the grid and is 0 where it saturated."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int) -> Tensor:
        q = torch.floor(x / scale + 0.5) + zero_point
        ctx.save_for_backward((q >= low) & (q <= high))
        return (q.clamp(low, high) - zero_point) * scale

    @staticmethod
    def backward(ctx, gradient: Tensor):
        inside, = ctx.saved_tensors
        return gradient * inside, None, None, None, None


def straight_through(x: Tensor, grid: Grid) -> Tensor:
    """`x` rounded to the grid, in x's own type, with the straight-through gradient."""
    return StraightThrough.apply(x, grid.scale.to(x.dtype), grid.zero_point.to(x.dtype), grid.low, grid.high)


class RoundedWeight(nn.Module):
    """Parametrization of a weight: symmetric grid from the weight's present range, straight-through gradient."""

    def __init__(self, bits: int, per_channel: bool, method: str = "minmax"):
        super().__init__()
        self.bits, self.per_channel, self.method = bits, per_channel, method

    def forward(self, weight: Tensor) -> Tensor:
        return straight_through(weight, weight_grid(weight, self.bits, per_channel=self.per_channel, method=self.method))


class RoundedInput(nn.Module):
    """Rounds a layer's input to a fixed affine grid."""

    def __init__(self, grid: Grid):
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        return straight_through(x, self.grid)


def prepare(model: nn.Module, calibration: Tensor, *, weight_bits: Bits = 8, activation_bits: Bits = 8, per_channel: bool = True,
            weight_method: str = "minmax", activation_method: str = "minmax") -> nn.Module:
    """Copy of `model`, norms folded, whose convolutions and linear layers see rounded weights and rounded inputs.

    Bits: one number for all, by layer name (layers not named stay float), or None for float. Ranges of the inputs are measured on
    `calibration` (b, c, h, w) in the float network and stay fixed. In eval mode; `.train()` and train it as any network.
    """
    folded = fold_model(model, calibration)
    layers = {name: m for name, m in folded.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    grids = _input_grids(folded, layers, calibration, activation_bits, activation_method)
    for name, layer in layers.items():
        bits = _bits(weight_bits, name)
        if bits is not None:
            parametrize.register_parametrization(layer, "weight", RoundedWeight(bits, per_channel, weight_method))
        if name in grids:
            layer.rounded_input = RoundedInput(grids[name])
            layer.register_forward_pre_hook(_round_input)
    return folded


def finish(model: nn.Module) -> nn.Module:
    """Ordinary copy of a prepared network: weights as rounded, inputs no longer rounded, eval mode."""
    plain = make_ordinary(copy.deepcopy(model).eval())
    for module in plain.modules():
        if hasattr(module, "rounded_input"):
            module._forward_pre_hooks.clear()
            del module.rounded_input
    return plain


def _round_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (layer.rounded_input(inputs[0]),)


def _bits(bits: Bits, name: str) -> int | None:
    return bits.get(name) if isinstance(bits, Mapping) else bits


@torch.no_grad()
def _input_grids(model: nn.Module, layers: dict[str, nn.Module], images: Tensor, bits: Bits, method: str) -> dict[str, Grid]:
    """Affine grid of each layer's input, from one pass over `images`."""
    grids: dict[str, Grid] = {}

    def watch(name):
        def hook(module, inputs):
            grids[name] = activation_grid(inputs[0], _bits(bits, name), method=method)
        return hook

    handles = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items() if _bits(bits, name) is not None]
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return grids
