"""Typical wrong answers of the lab tinytl."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd import Function

from tinylib.train.frozen import frozen_conv2d

# 1. trained_names

def every_bias(parameters, method):
    return names_by(parameters, method, lambda p: p["own"] == "bias", lambda p: p["lite"])


def forgets_the_head(parameters, method):
    keep_head = method in ("full", "last")
    found = names_by(parameters, method, lambda p: p["own"] == "bias" and not p["lite"], lambda p: p["lite"])
    return found if keep_head else found - {p["name"] for p in parameters if p["head"]}


def without_norms(parameters, method):
    return names_by(parameters, method, lambda p: p["own"] == "bias" and p["kind"] == "conv" and not p["lite"], lambda p: p["lite"])


def names_by(parameters, method, is_bias, is_lite):
    rules = {"full": lambda p: True, "last": lambda p: False, "bn+last": lambda p: p["kind"] == "norm" and not p["lite"], "bias": is_bias, "lite": is_lite,
             "lite+bias": lambda p: is_bias(p) or is_lite(p)}
    return {p["name"] for p in parameters if p["head"] or rules[method](p)}


# 2. packed_relu

class Clamp(Function):
    """clamp that keeps `keep(y, passed)` and reads it back with `passed(saved, shape)`; the switches plant the typical mistakes."""

    @staticmethod
    def forward(ctx, x, top, keep, read):
        y = x.clamp(0, top)
        ctx.read, ctx.shape = read, x.shape
        ctx.save_for_backward(keep(x, y, math.inf if top is None else top))
        return y

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.read(ctx.saved_tensors[0], ctx.shape), None, None, None


def bits(mask):
    return torch.from_numpy(np.packbits(mask.numpy()))


def unbits(saved, shape):
    return torch.from_numpy(np.unpackbits(saved.numpy(), count=math.prod(shape)).reshape(shape))


def a_byte_an_element(x, top):
    return Clamp.apply(x, top, lambda x, y, top: (x > 0) & (x < top), lambda saved, shape: saved)


def ends_included(x, top):
    return Clamp.apply(x, top, lambda x, y, top: bits((x >= 0) & (x <= top)), unbits)


def top_forgotten(x, top):
    return Clamp.apply(x, top, lambda x, y, top: bits(x > 0), unbits)


def stock_relu(x, top):
    return F.relu(x) if top is None else F.hardtanh(x, 0.0, top)


# 3. frozen_conv

def stock_conv(x, weight, bias, stride, padding, dilation, groups):
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


class Conv(Function):
    """A frozen convolution whose input gradient is made by `gradient`."""

    @staticmethod
    def forward(ctx, x, weight, bias, stride, padding, dilation, groups, gradient, bias_sum):
        ctx.save_for_backward(weight)
        ctx.rest = x.shape, stride, padding, dilation, groups, gradient, bias_sum
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx, grad):
        shape, stride, padding, dilation, groups, gradient, bias_sum = ctx.rest
        grad_x = gradient(grad, ctx.saved_tensors[0], shape, stride, padding, dilation, groups)
        return grad_x, None, bias_sum(grad) if ctx.needs_input_grad[2] else None, *[None] * 6


def true_gradient(grad, weight, shape, stride, padding, dilation, groups):
    return torch.nn.grad.conv2d_input(shape, weight, grad, stride, padding, dilation, groups)


def no_output_padding(x, weight, bias, stride, padding, dilation, groups):
    def gradient(grad, weight, shape, *rest):
        stride, padding, dilation, groups = rest
        back = F.conv_transpose2d(grad, weight, None, stride, padding, 0, groups, dilation)
        return F.pad(back, (0, shape[3] - back.shape[3], 0, shape[2] - back.shape[2]))[:, :, :shape[2], :shape[3]]

    # the missing rows are the last ones: with padding they get gradient too
    return Conv.apply(x, weight, bias, stride, padding, dilation, groups, gradient, lambda g: g.sum((0, 2, 3)))


def convolved_again(x, weight, bias, stride, padding, dilation, groups):
    def flipped(grad, weight, shape, *rest):
        return true_gradient(grad, weight.flip(2, 3), shape, *rest)

    return Conv.apply(x, weight, bias, stride, padding, dilation, groups, flipped, lambda g: g.sum((0, 2, 3)))


def bias_mean(x, weight, bias, stride, padding, dilation, groups):
    return Conv.apply(x, weight, bias, stride, padding, dilation, groups, true_gradient, lambda g: g.mean((0, 2, 3)))


def bias_forgotten(x, weight, bias, stride, padding, dilation, groups):
    return frozen_conv2d(x, weight, bias.detach() if bias is not None else None, stride, padding, dilation, groups) + (0 if bias is None else 0 * bias.sum())


# 4. lite_residual

def lite(x, parts, size, stride, groups, *, ceil=True, pool=True, first_norm=True, mode="bilinear", channels=8, own_stride=True):
    if pool and max(x.shape[2:]) > 1:
        x = F.avg_pool2d(x, 2, ceil_mode=ceil, count_include_pad=False)
    k = parts["conv"].shape[2]
    y = F.conv2d(x, parts["conv"], None, stride if own_stride else 1, k // 2, 1, groups)
    if first_norm:
        y = F.group_norm(y, y.shape[1] // channels, parts["norm_scale"], parts["norm_shift"])
    y = F.conv2d(F.relu(y), parts["project"])
    y = F.group_norm(y, y.shape[1] // channels, parts["last_scale"], parts["last_shift"])
    if y.shape[2:] == tuple(size):
        return y
    return F.interpolate(y, tuple(size), mode=mode, **({"align_corners": False} if mode == "bilinear" else {}))


def not_pooled(x, parts, size, stride, groups):
    return lite(x, parts, size, stride, groups, pool=False)


def nearest(x, parts, size, stride, groups):
    return lite(x, parts, size, stride, groups, mode="nearest")


def stride_forgotten(x, parts, size, stride, groups):
    return lite(x, parts, size, stride, groups, own_stride=False)


def border_dropped(x, parts, size, stride, groups):
    return lite(x, parts, size, stride, groups, ceil=min(x.shape[2:]) < 2)


# 5. training_memory

def memory(layers, *, passes_always=False, twice=False, frozen_norm=False, masks_as_floats=False, group_norm_free=False, cut=False):
    alive, kept, total = set(), set(), 0
    for layer in layers:
        passes = passes_always or any(i in alive for i in layer["inputs"])
        trains = layer["trains_weight"] or layer["trains_bias"]
        if passes or trains:
            alive.add(layer["output"])
        tensor, size = None, 0
        if layer["kind"] in ("conv", "linear", "norm") and (layer["trains_weight"] or (frozen_norm and layer["kind"] == "norm" and (passes or trains))):
            tensor, size = layer["inputs"][0], layer["size_in"]
        elif layer["kind"] == "groupnorm" and (layer["trains_weight"] if group_norm_free else passes or trains):
            tensor, size = layer["inputs"][0], layer["size_in"]
            total += 8 * layer["groups"]
        elif layer["kind"] == "packed relu" and passes:
            total += 4 * layer["size_out"] if masks_as_floats else layer["size_out"] // 8 if cut else math.ceil(layer["size_out"] / 8)
        elif layer["kind"] == "relu" and passes:
            tensor, size = layer["output"], layer["size_out"]
        elif layer["kind"] == "silu" and passes:
            tensor, size = layer["inputs"][0], layer["size_in"]
        if tensor is not None and (twice or tensor not in kept):
            total += 4 * size
            kept.add(tensor)
    return total


def counted_twice(layers):
    return memory(layers, twice=True)


def gradient_everywhere(layers):
    return memory(layers, passes_always=True)


def free_group_norm(layers):
    return memory(layers, group_norm_free=True)


def masks_of_floats(layers):
    return memory(layers, masks_as_floats=True)


def bits_cut_off(layers):
    return memory(layers, cut=True)
