"""Norms for a batch of one: group norm, with weight standardisation in the convolution before it, in place of batch norm.

Group norm takes mean and deviation from groups of channels of one picture, so that a picture's result and gradient do not depend on its
batch. Weight standardisation gives every filter mean 0 and variance 1. It acts on weights alone, so it keeps no activation.
Wu, He 2018, Group Normalization; Qiao, Wang, Liu, Shen, Yuille 2019, Micro-Batch Training with Batch-Channel Normalization and Weight
Standardization; used by Cai, Gan, Zhu, Han 2020, TinyTL (8 channels a group).
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable
from torch.nn.grad import conv2d_weight

from tinylib.core.errors import TinylibError
from tinylib.train.frozen import FrozenConv2d, FrozenNorm2d, input_gradient

EPS = 1e-5


def filter_statistics(weight: Tensor, eps: float = EPS) -> tuple[Tensor, Tensor]:
    """(mean, deviation) of each filter of a weight (k, c, kh, kw), both (k, 1, 1, 1); deviation = sqrt(population variance + eps)."""
    variance, mean = torch.var_mean(weight, (1, 2, 3), correction=0, keepdim=True)
    return mean, (variance + eps).sqrt()


def standardise(weight: Tensor, eps: float = EPS) -> Tensor:
    """The weight (k, c, kh, kw) with every filter shifted to mean 0 and scaled to variance v / (v + eps)."""
    mean, deviation = filter_statistics(weight, eps)
    return (weight - mean) / deviation


def standardise_gradient(grad: Tensor, weight: Tensor, eps: float = EPS) -> Tensor:
    """Gradient of the raw weight from that of the standardised one s: (g - mean(g) - s mean(g s)) / deviation, filter by filter."""
    mean, deviation = filter_statistics(weight, eps)
    s, axes = (weight - mean) / deviation, (1, 2, 3)
    return (grad - grad.mean(axes, keepdim=True) - s * (grad * s).mean(axes, keepdim=True)) / deviation


class _StandardConv(Function):
    """Convolution with the standardised weight. Keeps the raw weight, and the input only when the weight trains; standardises again in backward."""

    @staticmethod
    def forward(ctx, x, weight, bias, eps, *geometry):
        ctx.save_for_backward(weight, x if ctx.needs_input_grad[1] else None)
        ctx.size, ctx.geometry, ctx.eps = x.shape[2:], geometry, eps
        return F.conv2d(x, standardise(weight, eps), bias, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        weight, x = ctx.saved_tensors
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_x = input_gradient(grad, standardise(weight, ctx.eps), ctx.size, *ctx.geometry)
        if ctx.needs_input_grad[1]:
            grad_weight = standardise_gradient(conv2d_weight(x, weight.shape, grad, *ctx.geometry), weight, ctx.eps)
        if ctx.needs_input_grad[2]:
            grad_bias = grad.sum((0, 2, 3))
        return grad_x, grad_weight, grad_bias, None, None, None, None, None


class StandardConv2d(nn.Conv2d):
    """A convolution that standardises its weight before use; takes over the parameters of `conv`.

    (n, c, h, w) -> (n, k, h', w'). Keeps its input for backward when the weight trains, else nothing. Raises TinylibError for what
    `unfit` names.
    """

    def __init__(self, conv: nn.Conv2d, eps: float = EPS):
        if reason := unfit(conv):
            raise TinylibError(f"weight standardisation cannot take this convolution: {reason}")
        super().__init__(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups,
                         conv.bias is not None, device="meta")
        self.weight, self.bias, self.eps = conv.weight, conv.bias, eps

    def forward(self, x: Tensor) -> Tensor:
        return _StandardConv.apply(x, self.weight, self.bias, self.eps, self.stride, self.padding, self.dilation, self.groups)


class FrozenStandardConv2d(FrozenConv2d):
    """A `StandardConv2d` with its weight fixed and standardised once: a plain frozen convolution at run time, which keeps nothing.

    State dicts hold the raw weight, as those of `StandardConv2d` do.
    """

    def __init__(self, conv: StandardConv2d):
        super().__init__(conv)
        self.eps = conv.eps
        self._set(conv.weight.detach())

    def _set(self, raw: Tensor) -> None:
        mean, deviation = filter_statistics(raw, self.eps)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)
        self.weight = (raw - mean) / deviation

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight"] = self.weight * self.deviation + self.mean

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if prefix + "weight" in state_dict:
            self._set(self.weight)


def unfit(conv: nn.Conv2d) -> str | None:
    """Why weight standardisation cannot take this convolution, or None."""
    if type(conv) is not nn.Conv2d:
        return f"a {type(conv).__name__}, not a plain Conv2d"
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        return f"padding {conv.padding!r} of mode {conv.padding_mode!r}; give numbers and zeros"
    return "one weight a filter, which would become 0" if conv.weight[0].numel() == 1 else None


def group_norm(channels: int, channels_a_group: int = 8) -> nn.GroupNorm:
    """Group norm over groups of so many channels; one group when they do not divide."""
    return nn.GroupNorm(channels // channels_a_group if channels % channels_a_group == 0 else 1, channels)


def with_group_norm(model: nn.Module, channels_a_group: int = 8) -> nn.Module:
    """A copy whose batch norms are group norms (scale and bias kept) and whose convolutions before them standardise their weights.

    "Before" is by the order of definition: the last convolution ahead of a batch norm, if its channels fit; others stay as they are.
    It is another function: train it (again). Names in the state dict stay; running statistics go. Raises TinylibError that names every
    layer which cannot be converted: batch norms of other kinds, frozen layers, convolutions that `unfit` rejects.
    """
    if channels_a_group < 1:
        raise TinylibError(f"a group needs at least one channel, got {channels_a_group}")
    model = copy.deepcopy(model)
    norms, convs, refused = _targets(model)
    if refused:
        raise TinylibError("cannot convert to group norm: " + "; ".join(f"{name} ({why})" for name, why in refused.items()))
    for name, norm in norms.items():
        model.set_submodule(name, _as_group_norm(norm, channels_a_group))
    for name, conv in convs.items():
        model.set_submodule(name, StandardConv2d(conv).train(conv.training))
    return model


def _targets(model: nn.Module) -> tuple[dict[str, nn.Module], dict[str, nn.Module], dict[str, str]]:
    """(batch norms, convolutions before them, reason of each layer that cannot be converted), all by name."""
    norms, convs, refused, before = {}, {}, {}, None
    for name, module in model.named_modules(remove_duplicate=False):       # a shared layer has several names; each is replaced
        if isinstance(module, nn.Conv2d):
            before = name, module
        elif isinstance(module, nn.BatchNorm2d):
            norms[name] = module
            if before and before[1].out_channels == module.num_features and not isinstance(before[1], StandardConv2d):
                convs[before[0]] = before[1]
        elif isinstance(module, nn.modules.batchnorm._NormBase) and not isinstance(module, nn.modules.instancenorm._InstanceNorm):
            refused[name] = f"a {type(module).__name__}; only batch norms of pictures have a group norm here"
        elif isinstance(module, FrozenConv2d | FrozenNorm2d):
            refused[name] = "frozen already; convert before `lean`"
    return norms, convs, refused | {name: why for name, conv in convs.items() if (why := unfit(conv))}


def _as_group_norm(norm: nn.BatchNorm2d, channels_a_group: int) -> nn.GroupNorm:
    new = group_norm(norm.num_features, channels_a_group)
    if norm.affine:
        new.weight, new.bias = norm.weight, norm.bias
    else:
        new.affine, new.weight, new.bias = False, None, None
    new.eps = norm.eps
    return new.train(norm.training)
