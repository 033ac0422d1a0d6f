"""Typical wrong answers of the lab quantization."""

import math

import torch

# 1. affine_params

def zero_outside(low, high, bits):
    """The range is taken as it is, so that 0 may lie outside."""
    first, last = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    scale = (high - low) / (last - first) if high > low else 1.0
    return scale, min(last, max(first, math.floor(first - low / scale + 0.5)))


def levels_as_steps(low, high, bits):
    """2**bits levels taken for 2**bits steps."""
    low, high = min(low, 0.0), max(high, 0.0)
    first = -(2 ** (bits - 1))
    scale = (high - low) / 2**bits if high > low else 1.0
    return scale, min(-first - 1, max(first, math.floor(first - low / scale + 0.5)))


def unsigned(low, high, bits):
    """Integers 0 .. 2**bits - 1."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / (2**bits - 1) if high > low else 1.0
    return scale, math.floor(-low / scale + 0.5)


def cut_off(low, high, bits):
    """int() instead of rounding."""
    low, high = min(low, 0.0), max(high, 0.0)
    first = -(2 ** (bits - 1))
    scale = (high - low) / (2**bits - 1) if high > low else 1.0
    return scale, int(first - low / scale)


# 2. per_channel

def rounded(weight, scale, largest):
    """Nearest integer, ties upwards, clamped."""
    return torch.floor(weight / scale + 0.5).clamp(-largest, largest).to(torch.int8)


def spread(scale, weight):
    """(k,) in the shape that broadcasts over weight."""
    return scale.reshape(-1, *[1] * (weight.dim() - 1))


def one_scale(weight, bits):
    """One scale for the whole tensor, repeated."""
    largest = 2 ** (bits - 1) - 1
    limit = weight.abs().max()
    scale = (limit / largest if limit > 0 else torch.ones(())).expand(len(weight)).clone()
    return rounded(weight, spread(scale, weight), largest), scale


def signed_maximum(weight, bits):
    """The largest value instead of the largest magnitude."""
    largest = 2 ** (bits - 1) - 1
    limit = weight.flatten(1).amax(1)
    scale = torch.where(limit > 0, limit / largest, torch.ones_like(limit))
    return rounded(weight, spread(scale, weight), largest), scale


def one_level_more(weight, bits):
    """2**(b-1) in place of 2**(b-1) - 1."""
    largest = 2 ** (bits - 1)
    limit = weight.flatten(1).abs().amax(1)
    scale = torch.where(limit > 0, limit / largest, torch.ones_like(limit))
    return rounded(weight, spread(scale, weight), largest - 1), scale


def by_input_channel(weight, bits):
    """One scale for each input channel."""
    largest = 2 ** (bits - 1) - 1
    limit = weight.transpose(0, 1).flatten(1).abs().amax(1)
    scale = torch.where(limit > 0, limit / largest, torch.ones_like(limit))
    return rounded(weight, scale.reshape(1, -1, *[1] * (weight.dim() - 2)), largest), scale


def silent_is_nan(weight, bits):
    """A channel of zeros divides zero by zero."""
    largest = 2 ** (bits - 1) - 1
    scale = weight.flatten(1).abs().amax(1) / largest
    return rounded(weight, spread(scale, weight), largest), scale


# 3. requantise

def finish(y, zero_point):
    """Add the zero point and saturate."""
    return (y + zero_point).clamp(-128, 127).to(torch.int8)


def truncates(acc, multiplier, shift, zero_point):
    """No rounding: floor."""
    return finish((acc.long() * multiplier.long()) >> shift.long(), zero_point)


def in_32_bits(acc, multiplier, shift, zero_point):
    """The product overflows int32 and wraps."""
    product = (acc.long() * multiplier.long()).to(torch.int32).long()
    return finish((product + (torch.ones_like(shift.long()) << (shift.long() - 1))) >> shift.long(), zero_point)


def by_float(acc, multiplier, shift, zero_point):
    """A float32 factor, ties to even."""
    factor = (multiplier.double() / 2.0 ** shift.double()).float()
    return finish(torch.round(acc.float() * factor).long(), zero_point)


def wraps(acc, multiplier, shift, zero_point):
    """No saturation: the cast to int8 wraps around."""
    y = (acc.long() * multiplier.long() + (torch.ones_like(shift.long()) << (shift.long() - 1))) >> shift.long()
    return (y + zero_point).to(torch.int8)


def zero_point_first(acc, multiplier, shift, zero_point):
    """The zero point is added before the rescaling."""
    y = ((acc.long() + zero_point) * multiplier.long() + (torch.ones_like(shift.long()) << (shift.long() - 1))) >> shift.long()
    return finish(y, 0)


# 4. kmeans_update

def empty_is_nan(values, codes, centroids):
    """The mean of nothing is NaN."""
    return torch.stack([values[codes == i].mean() for i in range(len(centroids))])


def empty_is_zero(values, codes, centroids):
    """A cluster without members jumps to zero."""
    total = torch.zeros_like(centroids).index_add_(0, codes, values)
    return total / torch.bincount(codes, minlength=len(centroids)).clamp(min=1)


def empty_is_dropped(values, codes, centroids):
    """Only clusters with members come back."""
    return torch.stack([values[codes == i].mean() for i in codes.unique()])


def middle_of_cluster(values, codes, centroids):
    """The middle between the smallest and the largest member."""
    new = centroids.clone()
    for i in codes.unique():
        members = values[codes == i]
        new[i] = (members.min() + members.max()) / 2
    return new


# 5. fake_quantise

def on_grid(x, scale, zero_point, low, high):
    """The forward pass."""
    return ((torch.floor(x / scale + 0.5) + zero_point).clamp(low, high) - zero_point) * scale


def no_trick(x, scale, zero_point, low, high):
    """Plain rounding: its gradient is zero."""
    return on_grid(x, scale, zero_point, low, high)


def through_everything(x, scale, zero_point, low, high):
    """The gradient passes where the value saturated, too."""
    return x + (on_grid(x, scale, zero_point, low, high) - x).detach()


def detached(x, scale, zero_point, low, high):
    """Nothing leads back to x."""
    return on_grid(x.detach(), scale, zero_point, low, high)


def zero_point_forgotten(x, scale, zero_point, low, high):
    """The integers are clamped before the zero point is added."""
    y = torch.floor(x / scale + 0.5).clamp(low, high) * scale
    inside = x.clamp(low * scale, high * scale)
    return inside + (y - inside).detach()
