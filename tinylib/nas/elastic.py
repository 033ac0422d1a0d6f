"""Layers that hold many layers: call one with the size you want, or `extract` that size as an ordinary layer.

A smaller layer is always the first channels of the larger one (and the centre of its kernel), so weights are shared. Sizes are
arguments of the call: a layer has no active size of its own, and two calls never disturb each other.
Paper: Once-for-All (Cai et al., ICLR 2020). Lab: once_for_all.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError


def _fits(wanted: int, largest: int, what: str) -> int:
    if not 1 <= wanted <= largest:
        raise TinylibError(f"{what} must be from 1 to {largest}, not {wanted}")
    return wanted


class ElasticConv2d(nn.Conv2d):
    """Convolution that can give its first `out` channels and takes as many input channels as come.

    (b, c <= in_channels, h, w) -> (b, out, h', w'). Only `groups=1`; for depth-wise see `ElasticDepthwise`.
    """

    def forward(self, x: Tensor, out: int | None = None) -> Tensor:
        weight, bias = self.sliced(x.shape[1], out)
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation)

    def sliced(self, channels: int, out: int | None = None) -> tuple[Tensor, Tensor | None]:
        """Weight (out, channels, kh, kw) and bias (out,) of the slice; gradients reach the full weight."""
        if self.groups != 1:
            raise TinylibError("ElasticConv2d needs groups=1")
        out = _fits(self.out_channels if out is None else out, self.out_channels, "out")
        _fits(channels, self.in_channels, "input channels")
        return self.weight[:out, :channels], None if self.bias is None else self.bias[:out]

    def extract(self, channels: int, out: int | None = None) -> nn.Conv2d:
        """Stand-alone `nn.Conv2d` equal to the slice."""
        weight, bias = self.sliced(channels, out)
        plain = nn.Conv2d(channels, weight.shape[0], self.kernel_size, self.stride, self.padding, self.dilation, bias=bias is not None)
        return _filled(plain, weight, bias)


class ElasticLinear(nn.Linear):
    """Linear layer on the first `d` features that come, giving its first `out` features: (..., d) -> (..., out)."""

    def forward(self, x: Tensor, out: int | None = None) -> Tensor:
        return F.linear(x, *self.sliced(x.shape[-1], out))

    def sliced(self, features: int, out: int | None = None) -> tuple[Tensor, Tensor | None]:
        """Weight (out, features) and bias (out,) of the slice."""
        out = _fits(self.out_features if out is None else out, self.out_features, "out")
        _fits(features, self.in_features, "input features")
        return self.weight[:out, :features], None if self.bias is None else self.bias[:out]

    def extract(self, features: int, out: int | None = None) -> nn.Linear:
        """Stand-alone `nn.Linear` equal to the slice."""
        weight, bias = self.sliced(features, out)
        return _filled(nn.Linear(features, weight.shape[0], bias=bias is not None), weight, bias)


def active_kernel(weight: Tensor, transforms: Mapping[int, Tensor], size: int) -> Tensor:
    """Depth-wise kernel of a smaller size, cut out of a larger one step by step.

    `weight` (c, 1, s, s) with odd s. While s > `size`: cut the centre (s - 2, s - 2), flatten it, and multiply by `transforms[s - 2]`
    of shape ((s - 2)^2, (s - 2)^2), shared by all channels: centre @ transform.T. So 3 comes from 7 through 5. Returns (c, 1, size, size).
    """
    while weight.shape[-1] > size:
        smaller = weight.shape[-1] - 2
        centre = weight[:, :, 1:-1, 1:-1].reshape(weight.shape[0], 1, smaller * smaller)
        weight = F.linear(centre, transforms[smaller]).view(weight.shape[0], 1, smaller, smaller)
    return weight


class ElasticDepthwise(nn.Module):
    """Depth-wise convolution with elastic channels and kernel: (b, c <= channels, h, w) -> (b, c, ceil(h / stride), ceil(w / stride)).

    Holds the largest kernel and, for each smaller size, one learned square matrix that starts as the identity (see `active_kernel`).
    """

    def __init__(self, channels: int, sizes: Sequence[int] = (3, 5, 7), *, stride: int = 1):
        super().__init__()
        sizes = tuple(sorted(sizes))
        if any(s % 2 == 0 or s < 1 for s in sizes) or any(b - a != 2 for a, b in zip(sizes, sizes[1:])):
            raise TinylibError(f"kernel sizes must be odd and two apart, not {sizes}")
        self.channels, self.sizes, self.stride = channels, sizes, stride
        self.weight = nn.Parameter(nn.Conv2d(channels, channels, sizes[-1], groups=channels).weight.detach().clone())
        self.transforms = nn.ParameterDict({str(s): nn.Parameter(torch.eye(s * s)) for s in sizes[:-1]})

    def kernel(self, channels: int, size: int) -> Tensor:
        """Weight (channels, 1, size, size) of the slice."""
        if size not in self.sizes:
            raise TinylibError(f"kernel size must be one of {self.sizes}, not {size}")
        _fits(channels, self.channels, "channels")
        return active_kernel(self.weight[:channels], {int(s): t for s, t in self.transforms.items()}, size)

    def forward(self, x: Tensor, size: int | None = None) -> Tensor:
        size = self.sizes[-1] if size is None else size
        return F.conv2d(x, self.kernel(x.shape[1], size), None, self.stride, size // 2, groups=x.shape[1])

    def extract(self, channels: int, size: int | None = None) -> nn.Conv2d:
        """Stand-alone depth-wise `nn.Conv2d` equal to the slice."""
        size = self.sizes[-1] if size is None else size
        plain = nn.Conv2d(channels, channels, size, self.stride, size // 2, groups=channels, bias=False)
        return _filled(plain, self.kernel(channels, size), None)


class ElasticBatchNorm2d(nn.BatchNorm2d):
    """Batch norm on the first c channels that come; in training it updates the statistics of those channels only.

    One set of statistics serves every sub-network, and therefore fits none but the one trained last: recalibrate after `extract`.
    """

    def forward(self, x: Tensor) -> Tensor:
        c = _fits(x.shape[1], self.num_features, "channels")
        if self.training and self.track_running_stats:
            self.num_batches_tracked.add_(1)
        return F.batch_norm(x, self.running_mean[:c], self.running_var[:c], self.weight[:c], self.bias[:c], self.training, self.momentum, self.eps)

    def extract(self, channels: int) -> nn.BatchNorm2d:
        """Stand-alone `nn.BatchNorm2d` equal to the slice, statistics included."""
        c = _fits(channels, self.num_features, "channels")
        plain = _filled(nn.BatchNorm2d(c, self.eps, self.momentum), self.weight[:c], self.bias[:c])
        plain.running_mean.copy_(self.running_mean[:c])
        plain.running_var.copy_(self.running_var[:c])
        return plain.train(self.training)


class ElasticLayerNorm(nn.LayerNorm):
    """Layer norm over the first d features that come: (..., d) -> (..., d), normalised over these d only."""

    def forward(self, x: Tensor) -> Tensor:
        d = _fits(x.shape[-1], self.normalized_shape[0], "features")
        return F.layer_norm(x, (d,), self.weight[:d], self.bias[:d], self.eps)

    def extract(self, features: int) -> nn.LayerNorm:
        """Stand-alone `nn.LayerNorm` equal to the slice."""
        d = _fits(features, self.normalized_shape[0], "features")
        return _filled(nn.LayerNorm(d, self.eps), self.weight[:d], self.bias[:d])


@torch.no_grad()
def _filled(plain: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    plain.to(weight.dtype)
    plain.weight.copy_(weight)
    if bias is not None:
        plain.bias.copy_(bias)
    return plain


def importance(following: Tensor) -> Tensor:
    """How much the next layer listens to each channel: L1 norm of its weight (k, c, ...) over all but the input channels; (c,)."""
    return following.detach().abs().transpose(0, 1).flatten(1).sum(1)


def sorted_order(scores: Tensor, *, kept: Sequence[int] = ()) -> Tensor:
    """Channel order (c,) by falling score, ties in memory order.

    `kept`: sizes that are already trained; channels are sorted only inside the segments between them, so that each of those
    smaller sets stays the same set of channels.
    """
    bounds = [0, *sorted(kept), len(scores)]
    parts = [a + torch.argsort(scores[a:b], descending=True, stable=True) for a, b in zip(bounds, bounds[1:]) if b > a]
    return torch.cat(parts)


@torch.no_grad()
def permute_channels(order: Tensor, *, makers: Sequence[nn.Module], readers: Sequence[nn.Module]) -> None:
    """Reorder hidden channels in place, leaving the function of the network as it is.

    `makers` produce or carry the channels (convolution, depth-wise, linear, norms with their statistics): their first axis moves.
    `readers` take them as input (convolution or linear, groups=1): their second axis moves.
    """
    for module in makers:
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if tensor.ndim and tensor.shape[0] == len(order):
                tensor.copy_(tensor[order].clone())
            elif tensor.ndim:
                raise TinylibError(f"{type(module).__name__}.{name} has {tensor.shape[0]} channels, the order has {len(order)}")
    for module in readers:
        module.weight.copy_(module.weight[:, order].clone())
