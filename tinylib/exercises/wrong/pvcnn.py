"""Typical wrong answers to the exercises of `pvcnn`."""

import torch
import torch.nn.functional as F

from tinylib.points import pvconv


def summed(features, places, r):
    cell = pvconv.cells(places, r)[:, None].expand_as(features)
    return features.new_zeros(*features.shape[:2], r**3).scatter_add(2, cell, features).unflatten(2, (r, r, r))


def floored(features, places, r):
    return pvconv.voxelise(features, places.floor(), r)


def half_up(features, places, r):
    return pvconv.voxelise(features, (places + 0.5).floor(), r)


def one_grid_for_all(features, places, r):
    b, c, n = features.shape
    merged = pvconv.voxelise(features.transpose(0, 1).reshape(1, c, b * n), places.transpose(0, 1).reshape(1, 3, b * n), r)
    return merged.expand(b, -1, -1, -1, -1)


def last_one_wins(features, places, r):
    grid = torch.zeros(len(features), features.shape[1], r**3, dtype=features.dtype)
    cell = pvconv.cells(places, r)
    for j in range(features.shape[2]):
        grid = grid.scatter(2, cell[:, None, j:j + 1].expand(-1, features.shape[1], -1), features[:, :, j:j + 1])
    return grid.unflatten(2, (r, r, r))


def axes_turned(features, places, r):
    return pvconv.voxelise(features, places.flip(1), r)


def nearest(grid, places):
    return pvconv.nearest(grid, places)


def beyond_is_zero(grid, places):
    out = pvconv.devoxelise(grid, places)
    on_border = (places >= grid.shape[-1] - 1).any(1, keepdim=True)
    return torch.where(on_border, torch.zeros_like(out), out)


def unflipped(grid, places):
    return pvconv.devoxelise(grid, places.flip(1))


def corners_not_aligned(grid, places):
    r = grid.shape[-1]
    where = (2 * places / max(r - 1, 1) - 1).flip(1).transpose(1, 2)[:, :, None, None]
    return F.grid_sample(grid, where, align_corners=False)[..., 0, 0]


def mean_of_eight(grid, places):
    low, r = places.floor(), grid.shape[-1]
    corners = [torch.stack([low[:, 0] + i, low[:, 1] + j, low[:, 2] + k], 1).clamp(max=r - 1) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    return sum(pvconv.nearest(grid, corner) for corner in corners) / 8


def grid_only(features, places, r, voxelise, convs, devoxelise, mlp):
    return devoxelise(convs(voxelise(features, places, r)), places)


def one_after_the_other(features, places, r, voxelise, convs, devoxelise, mlp):
    coarse = devoxelise(convs(voxelise(features, places, r)), places)
    return coarse + mlp(features + coarse.mean(1, keepdim=True))


def multiplied(features, places, r, voxelise, convs, devoxelise, mlp):
    return devoxelise(convs(voxelise(features, places, r)), places) * mlp(features)


def averaged(features, places, r, voxelise, convs, devoxelise, mlp):
    return (devoxelise(convs(voxelise(features, places, r)), places) + mlp(features)) / 2


def concatenated(features, places, r, voxelise, convs, devoxelise, mlp):
    return torch.cat([devoxelise(convs(voxelise(features, places, r)), places), mlp(features)], 1)


def flat_kernel(c_in, c_out, r, n):
    return r**3 * 9 * (c_in + c_out) * c_out + n * c_in * c_out, 4 * (r**3 * (c_in + 2 * c_out) + 2 * n * c_out)


def first_conv_twice(c_in, c_out, r, n):
    return 2 * r**3 * 27 * c_in * c_out + n * c_in * c_out, 4 * (r**3 * (c_in + 2 * c_out) + 2 * n * c_out)


def conv_on_points(c_in, c_out, r, n):
    return n * 27 * (c_in + c_out) * c_out + n * c_in * c_out, 4 * (r**3 * (c_in + 2 * c_out) + 2 * n * c_out)


def without_points(c_in, c_out, r, n):
    return r**3 * 27 * (c_in + c_out) * c_out, 4 * (r**3 * (c_in + 2 * c_out) + n * c_out)


def numbers_not_bytes(c_in, c_out, r, n):
    return r**3 * 27 * (c_in + c_out) * c_out + n * c_in * c_out, r**3 * (c_in + 2 * c_out) + 2 * n * c_out


def distinct_cells(places, r):
    cell = pvconv.cells(places, r) + r**3 * torch.arange(len(places))[:, None]
    return len(torch.unique(cell)) / cell.numel()


def of_occupied_cells(places, r):
    count = torch.bincount((pvconv.cells(places, r) + r**3 * torch.arange(len(places))[:, None]).flatten())
    return (count == 1).sum().item() / (count > 0).sum().item()


def clouds_mixed(places, r):
    return pvconv.alone(places.transpose(0, 1).reshape(1, 3, -1), r)


def merged_share(places, r):
    return 1 - pvconv.alone(places, r)
