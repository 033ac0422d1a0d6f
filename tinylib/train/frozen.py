"""Layers that keep less for the backward pass. PyTorch keeps a convolution's input even when its weight is frozen; these do not.

| layer | keeps for backward (n elements) | PyTorch keeps |
|---|---|---|
| `FrozenConv2d` | nothing | its input, 4n bytes |
| `FrozenNorm2d` (fixed statistics and scale) | nothing | its input, 4n bytes |
| `PackedReLU`, `PackedReLU6` | one bit an element, ceil(n / 8) bytes | output or input, 4n bytes |
| `MeanPool2d` | nothing | its input, 4n bytes |

Outputs and gradients are those of the stock layers. Weights and buffers are not counted: they are in memory anyway.
Cai, Gan, Zhu, Han 2020, TinyTL: Reduce Memory, Not Parameters for Efficient On-Device Learning.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from tinylib.core.errors import TinylibError


class _Conv(Function):
    """Convolution whose weight gets no gradient. The gradient of the input is the transposed convolution of the output's gradient."""

    @staticmethod
    def forward(ctx, x, weight, bias, stride, padding, dilation, groups):
        ctx.save_for_backward(weight)
        ctx.geometry = x.shape[2:], stride, padding, dilation, groups
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (weight,) = ctx.saved_tensors
        grad_x = input_gradient(grad, weight, *ctx.geometry) if ctx.needs_input_grad[0] else None
        grad_bias = None
        if ctx.needs_input_grad[2]:
            grad_bias = grad.sum((0, 2, 3))
        return grad_x, None, grad_bias, None, None, None, None


def input_gradient(grad: Tensor, weight: Tensor, size, stride, padding, dilation, groups: int) -> Tensor:
    """Gradient (n, c, *size) of a convolution's input from that of its output (n, k, h', w'); all but `groups` are pairs."""
    if weight.shape[2:] == (1, 1) and groups == 1 and stride == (1, 1) and padding == (0, 0):
        return F.conv2d(grad, weight.transpose(0, 1))           # the same, and faster
    rest = [size[i] - ((grad.shape[2 + i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (weight.shape[2 + i] - 1) + 1) for i in (0, 1)]
    return F.conv_transpose2d(grad, weight, None, stride, padding, rest, groups, dilation)


def frozen_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1, groups: int = 1) -> Tensor:
    """`F.conv2d` for a weight without gradient; keeps no activation. Gradients reach `x` and `bias`."""
    return _Conv.apply(x, weight, bias, _pair(stride), _pair(padding), _pair(dilation), groups)


BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32)      # (256, 8): the bits of every byte


class _PackedClamp(Function):
    """clamp(x, 0, top) that keeps one bit an element: was 0 < x < top?"""

    @staticmethod
    def forward(ctx, x, top):
        x, ctx.layout = dense(x)
        y = x.clamp(0, top) if top is not None else x.relu()
        if ctx.needs_input_grad[0]:
            flat = _flat(y)         # numpy compares and packs several times faster than torch on one thread
            passed = flat > 0 if top is None else (flat > 0) & (flat < top)
            ctx.save_for_backward(torch.from_numpy(np.packbits(passed)))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (bits,) = ctx.saved_tensors
        grad = grad.contiguous(memory_format=ctx.layout)
        flat = _flat(grad)
        passed = BITS.astype(flat.dtype, copy=False).take(bits.numpy(), axis=0).reshape(-1)[:flat.size]     # by table: no pass to widen booleans
        np.multiply(flat, passed, out=passed)
        return torch.from_numpy(passed).as_strided(grad.shape, grad.stride()), None


def packed_relu(x: Tensor, top: float | None = None) -> Tensor:
    """ReLU (or clamp to [0, top], so 6 gives ReLU6) that keeps ceil(n / 8) bytes for backward. Gradient 0 at both ends, as PyTorch's."""
    return _PackedClamp.apply(x, top)


class _FixedNorm(Function):
    """Normalisation by fixed numbers: y = x * scale + shift a channel. Backward needs the scale alone."""

    @staticmethod
    def forward(ctx, x, mean, variance, weight, bias, scale, eps):
        ctx.save_for_backward(scale)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (scale,) = ctx.saved_tensors
        grad_x = grad * scale if ctx.needs_input_grad[0] else None
        return grad_x, None, None, None, grad.sum((0, 2, 3)) if ctx.needs_input_grad[4] else None, None, None


class _MeanPool(Function):
    """Mean over k x k windows (the last one may be smaller); backward needs the shape alone."""

    @staticmethod
    def forward(ctx, x, kernel):
        ctx.kernel, ctx.shape = kernel, x.shape
        return F.avg_pool2d(x, kernel, ceil_mode=True, count_include_pad=False)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        nowhere = grad.new_empty(1).expand(ctx.shape)       # only its shape is read
        k = [ctx.kernel, ctx.kernel]
        return torch.ops.aten.avg_pool2d_backward(grad, nowhere, k, k, [0, 0], True, False, None), None


class FrozenConv2d(nn.Module):
    """A convolution with its weight fixed (a buffer); the bias stays a parameter and may train. See `frozen_conv2d`."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
            raise TinylibError(f"FrozenConv2d needs padding by zeros given as numbers, got {conv.padding!r}, {conv.padding_mode!r}")
        self.register_buffer("weight", conv.weight.detach())
        self.bias = conv.bias
        self.stride, self.padding, self.dilation, self.groups = conv.stride, conv.padding, conv.dilation, conv.groups

    def forward(self, x: Tensor) -> Tensor:
        return frozen_conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class FrozenNorm2d(nn.Module):
    """Batch norm with fixed statistics and scale (buffers); the bias stays a parameter and may train. Train and eval mode are the same."""

    def __init__(self, norm: nn.BatchNorm2d):
        super().__init__()
        if norm.running_mean is None:
            raise TinylibError("FrozenNorm2d needs a batch norm with running statistics")
        weight = torch.ones_like(norm.running_var) if norm.weight is None else norm.weight.detach()
        self.register_buffer("running_mean", norm.running_mean)
        self.register_buffer("running_var", norm.running_var)
        self.register_buffer("weight", weight)
        self.register_buffer("num_batches_tracked", norm.num_batches_tracked)       # so that state dicts fit the stock norm
        self.register_buffer("scale", (weight / (norm.running_var + norm.eps).sqrt())[:, None, None], persistent=False)
        self.bias, self.eps = norm.bias, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return _FixedNorm.apply(x, self.running_mean, self.running_var, self.weight, self.bias, self.scale, self.eps)


class PackedReLU(nn.Module):
    """ReLU that keeps one bit an element."""

    top: float | None = None

    def forward(self, x: Tensor) -> Tensor:
        return packed_relu(x, self.top)


class PackedReLU6(PackedReLU):
    """ReLU6 that keeps one bit an element."""

    top = 6.0


class MeanPool2d(nn.Module):
    """Mean over kernel x kernel windows with the same stride: (n, c, h, w) -> (n, c, ceil(h / kernel), ceil(w / kernel)). Keeps nothing."""

    def __init__(self, kernel: int = 2):
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        return _MeanPool.apply(x, self.kernel)


def dense(x: Tensor) -> tuple[Tensor, torch.memory_format]:
    """(x, its memory format), copied to the contiguous format when its storage has gaps or another order."""
    if x.ndim == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        return x, torch.channels_last
    return x.contiguous(), torch.contiguous_format


def _flat(x: Tensor) -> np.ndarray:
    """The elements of a dense tensor in memory order, as a view (float32 or float64)."""
    return x.detach().as_strided((x.numel(),), (1,)).numpy()


def mask_bytes(n: int) -> int:
    """Bytes of a mask with one bit for each of n elements."""
    return math.ceil(n / 8)


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)
