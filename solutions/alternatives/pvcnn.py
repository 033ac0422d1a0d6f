"""A second, differently written right answer for each exercise of `pvcnn`."""

import torch
import torch.nn.functional as F


def voxelise(features, places, r):
    grids = []
    for cloud, where in zip(features, places):
        cell = (where.round().long() * torch.tensor([[r * r], [r], [1]])).sum(0)
        member = F.one_hot(cell, r**3).to(cloud.dtype)
        count = member.sum(0)
        grids.append(((cloud @ member) / torch.where(count == 0, torch.ones_like(count), count)).view(-1, r, r, r))
    return torch.stack(grids)


def devoxelise(grid, places):
    r = grid.shape[-1]
    if r == 1:
        return grid[..., 0, 0].expand(-1, -1, places.shape[2])
    where = (2 * places / (r - 1) - 1).flip(1).permute(0, 2, 1)[:, None, None]
    return F.grid_sample(grid, where.to(grid.dtype), mode="bilinear", padding_mode="border", align_corners=True).flatten(2)


def point_voxel(features, places, r, voxelise, convs, devoxelise, mlp):
    own = mlp(features)
    grid = voxelise(features, places, r)
    return own.add(devoxelise(convs(grid), places))


def block_cost(c_in, c_out, r, n):
    cells, kernel = r * r * r, 3 * 3 * 3
    macs = cells * kernel * c_in * c_out + cells * kernel * c_out**2 + n * c_in * c_out
    numbers = cells * c_in + cells * c_out + cells * c_out + n * (c_out + c_out)
    return macs, numbers * 4


def alone(places, r):
    lonely = 0
    for where in places.round().long():
        _, count = torch.unique(where, dim=1, return_counts=True)
        lonely += int((count == 1).sum())
    return lonely / (places.shape[0] * places.shape[2])


ALTERNATIVES = {"pvcnn.voxelise": voxelise, "pvcnn.devoxelise": devoxelise, "pvcnn.point_voxel": point_voxel, "pvcnn.block_cost": block_cost,
                "pvcnn.alone": alone}
