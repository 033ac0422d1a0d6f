"""Convolution, norm, activation as one layer; channel rounding; initial weights from a generator."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU, "hardswish": nn.Hardswish}


class ConvBNAct(nn.Sequential):
    """Convolution without bias -> norm -> activation (`act=None`: none), "same" padding for odd kernels.

    (n, c_in, h, w) -> (n, c_out, ceil(h / stride), ceil(w / stride)). Children are named `conv`, `bn`, `act`.
    `norm(channels)` and `conv(...)` make the parts, so that other norms and convolutions can stand in.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, *, stride: int = 1, groups: int = 1, act: str | None = "relu6",
                 norm: Callable[[int], nn.Module] = nn.BatchNorm2d, conv: Callable[..., nn.Module] = nn.Conv2d):
        super().__init__()
        self.add_module("conv", conv(c_in, c_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False))
        self.add_module("bn", norm(c_out))
        if act is not None:
            self.add_module("act", ACTIVATIONS[act]())


def round_channels(channels: float, divisor: int = 8) -> int:
    """Nearest multiple of `divisor`, at least `divisor`, never below 90 % of `channels`."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


@torch.no_grad()
def initialise(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """Fresh weights for every convolution (He, fan out), linear layer (He, fan in) and norm (1, 0), drawn from `generator`; returns the model."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Conv1d | nn.Conv3d):
            fan_out = module.weight.numel() // module.weight.shape[1] // module.groups
            _normal(module.weight, (2 / fan_out) ** 0.5, generator)
        elif isinstance(module, nn.Linear):
            _normal(module.weight, (1 / module.in_features) ** 0.5, generator)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_parameters()
        elif isinstance(module, nn.GroupNorm | nn.LayerNorm):
            module.reset_parameters()
        if isinstance(module, nn.Conv2d | nn.Conv1d | nn.Conv3d | nn.Linear) and module.bias is not None:
            module.bias.zero_()
    return model


def _normal(weight: Tensor, std: float, generator: torch.Generator) -> None:
    weight.copy_(torch.randn(weight.shape, generator=generator) * std)
