"""A second right answer to each exercise of the lab quantization, written another way."""

import numpy as np
import torch


def affine_params(low, high, bits):
    """By numpy, from the top of the grid."""
    levels = np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1))
    ends = np.array([min(low, 0.0), max(high, 0.0)])
    span = float(np.ptp(ends))
    scale = span / (len(levels) - 1) if span else 1.0
    exact = levels[0] - ends[0] / scale
    return scale, int(np.clip(np.floor(exact + 0.5), levels[0], levels[-1]))


def per_channel(weight, bits):
    """A loop over channels, rounding through ceil."""
    largest = 2 ** (bits - 1) - 1
    q, scale = torch.zeros(weight.shape, dtype=torch.int8), torch.ones(len(weight))
    for k, row in enumerate(weight):
        limit = max(row.max().item(), -row.min().item())
        if limit > 0:
            scale[k] = torch.tensor(limit) / largest
        steps = row.double() / scale[k].double()
        q[k] = torch.ceil(steps - 0.5 + (steps - 0.5 == torch.ceil(steps - 0.5)).double()).clamp(-largest, largest).to(torch.int8)
    return q, scale


def requantise(acc, multiplier, shift, zero_point):
    """Python's whole numbers."""
    columns = []
    for column, m, s in zip(acc.T.tolist(), multiplier.tolist(), shift.tolist()):
        columns.append([sorted((-128, 127, (2 * a * m + 2**s) // 2 ** (s + 1) + zero_point))[1] for a in column])
    return torch.tensor(columns, dtype=torch.int8).T


def kmeans_update(values, codes, centroids):
    """A matrix of membership."""
    member = (codes[None] == torch.arange(len(centroids))[:, None]).to(values.dtype)
    count = member.sum(1)
    new = centroids.clone()
    new[count > 0] = (member @ values)[count > 0] / count[count > 0]
    return new


class Rounded(torch.autograd.Function):
    """Forward on the grid, backward with a mask."""

    @staticmethod
    def forward(ctx, x, scale, zero_point, low, high):
        q = torch.floor(x / scale + 0.5) + zero_point
        ctx.inside = (low <= q) & (q <= high)
        return scale * (q.clamp(low, high) - zero_point)

    @staticmethod
    def backward(ctx, above):
        return torch.where(ctx.inside, above, torch.zeros_like(above)), None, None, None, None


def fake_quantise(x, scale, zero_point, low, high):
    """A function with its own gradient."""
    return Rounded.apply(x, scale, zero_point, low, high)


ALTERNATIVES = {
    "quantization.affine_params": affine_params, "quantization.per_channel": per_channel, "quantization.requantise": requantise,
    "quantization.kmeans_update": kmeans_update, "quantization.fake_quantise": fake_quantise,
}
