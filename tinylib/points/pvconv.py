"""Point-voxel convolution: a coarse grid finds the neighbours, a shared MLP keeps each point its own.

Clouds are coords (b, 3, n) and features (b, c, n); grids are (b, c, r, r, r), coordinate 0 along the first grid axis. Cell i is centred on
place i, so places run from 0 to r - 1 and a point falls into the cell its place rounds to.
Paper: Point-Voxel CNN (Liu et al., NeurIPS 2019). Lab: pvcnn.
"""

from collections.abc import Callable
from copy import deepcopy
from itertools import product

import torch
from torch import Tensor, nn

from tinylib.core.errors import TinylibError

FLOAT_BYTES = 4
BRANCHES = ("both", "voxel", "point")


def places(coords: Tensor, r: int, *, normalize: bool = True, eps: float = 1e-6) -> Tensor:
    """Where the points lie in a grid of r cells a side: (b, 3, n) in [0, r - 1], without gradient.

    The cloud is centred on its mean. `normalize=True` divides by twice its largest norm (+ eps, so that a cloud of one repeated point
    lands in the middle instead of at 0 / 0) and adds 1/2; False takes coordinates within the unit ball as they are, (x + 1) / 2.
    As published, the result is multiplied by r and then cut to r - 1: the last half cell's points move to its centre.
    """
    if r < 1:
        raise TinylibError(f"a grid needs at least one cell a side, not {r}")
    x = coords.detach()
    x = x - x.mean(2, keepdim=True)
    if normalize:
        x = x / (2 * x.norm(dim=1, keepdim=True).amax(2, keepdim=True) + eps) + 0.5
    else:
        x = (x + 1) / 2
    return (x * r).clamp(0, r - 1)


def cells(at: Tensor, r: int) -> Tensor:
    """Flat number of the cell of each point, int64 (b, n) in [0, r^3): places (b, 3, n) rounded, ties to even."""
    x, y, z = at.round().long().unbind(1)
    return (x * r + y) * r + z


def voxelise(features: Tensor, at: Tensor, r: int) -> Tensor:
    """Grid (b, c, r, r, r) with the mean of the features (b, c, n) whose place (b, 3, n) rounds to the cell; 0 in empty cells."""
    cell = cells(at, r)
    total = features.new_zeros(*features.shape[:2], r**3).scatter_add_(2, cell[:, None].expand_as(features), features)
    count = features.new_zeros(len(features), r**3).scatter_add_(1, cell, features.new_ones(cell.shape))
    return (total / count.clamp_min(1)[:, None]).unflatten(2, (r, r, r))


def devoxelise(grid: Tensor, at: Tensor) -> Tensor:
    """Features (b, c, n): the grid (b, c, r, r, r) read at places (b, 3, n) in [0, r - 1], trilinear over the eight cells around each."""
    r = grid.shape[-1]
    low = at.floor().clamp(0, max(r - 2, 0))        # the upper border belongs to the last pair of cells: r - 1 never reads r
    share = at - low
    corners, weights = [], []
    for corner in product((0, 1), repeat=3):
        step = torch.tensor(corner, dtype=at.dtype)[None, :, None]
        corners.append(cells((low + step).clamp(max=r - 1), r))
        weights.append(torch.where(step == 1, share, 1 - share).prod(1))
    index, weight = torch.stack(corners, 1), torch.stack(weights, 1).to(grid.dtype)      # (b, 8, n)
    read = grid.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, grid.shape[1], -1))
    return (read.unflatten(2, index.shape[1:]) * weight[:, None]).sum(2)


def nearest(grid: Tensor, at: Tensor) -> Tensor:
    """Features (b, c, n) of the cell that each point falls into: all points of a cell become equal."""
    cell = cells(at, grid.shape[-1])
    return grid.flatten(2).gather(2, cell[:, None].expand(-1, grid.shape[1], -1))


def alone(at: Tensor, r: int) -> float:
    """Share of points that have their cell for themselves, over all clouds of places (b, 3, n)."""
    cell = cells(at, r) + r**3 * torch.arange(len(at))[:, None]
    count = torch.bincount(cell.flatten())
    return (count == 1).sum().item() / max(cell.numel(), 1)


class PVConv(nn.Module):
    """Features (b, c_in, n), coords (b, 3, n) -> (b, c_out, n): two 3D convolutions on a grid of r cells a side + a shared MLP on the points.

    `branches` "voxel" or "point" leaves only one of the two. `operations`: voxelise and devoxelise, to be replaced in experiments.
    """

    def __init__(self, c_in: int, c_out: int, r: int, *, kernel: int = 3, normalize: bool = True, branches: str = "both",
                 operations: tuple[Callable, Callable] = (voxelise, devoxelise)):
        super().__init__()
        if branches not in BRANCHES:
            raise TinylibError(f"branches must be one of {BRANCHES}, not {branches!r}")
        self.r, self.normalize, self.operations = r, normalize, operations
        if branches != "point":
            self.voxel = nn.Sequential(*(part for c in (c_in, c_out) for part in (
                nn.Conv3d(c, c_out, kernel, padding=kernel // 2), nn.BatchNorm3d(c_out, eps=1e-4), nn.LeakyReLU(0.1))))
        if branches != "voxel":
            self.point = shared_mlp(c_in, c_out)

    def forward(self, features: Tensor, coords: Tensor) -> Tensor:
        if not hasattr(self, "voxel"):
            return self.point(features)
        voxelise, devoxelise = self.operations
        at = places(coords, self.r, normalize=self.normalize)
        out = devoxelise(self.voxel(voxelise(features, at, self.r)), at)
        return out + self.point(features) if hasattr(self, "point") else out

    def extra_repr(self) -> str:
        return f"r={self.r}, normalize={self.normalize}"


def shared_mlp(c_in: int, c_out: int) -> nn.Sequential:
    """The same linear layer, norm and ReLU for every point: (b, c_in, n) -> (b, c_out, n)."""
    return nn.Sequential(nn.Conv1d(c_in, c_out, 1), nn.BatchNorm1d(c_out), nn.ReLU())


def with_operations(net: nn.Module, voxelise: Callable, devoxelise: Callable) -> nn.Module:
    """A copy of a network whose point-voxel convolutions use these two functions."""
    copy = deepcopy(net)
    for module in copy.modules():
        if isinstance(module, PVConv):
            module.operations = (voxelise, devoxelise)
    return copy


def pvconv_macs(c_in: int, c_out: int, r: int, n: int, *, kernel: int = 3, branches: str = "both") -> int:
    """MACs of one cloud: r^3 k^3 (c_in + c_out) c_out for the grid and n c_in c_out for the points.

    The 8 n c_out multiplies and adds of the trilinear reading are element-wise work and not counted, as in `measure.profile`.
    """
    grid = r**3 * kernel**3 * (c_in + c_out) * c_out if branches != "point" else 0
    return grid + (n * c_in * c_out if branches != "voxel" else 0)


def grid_bytes(c_in: int, c_out: int, r: int) -> int:
    """Bytes of the three grids of one cloud that a training step keeps: input and the results of both convolutions, 4 bytes a number."""
    return FLOAT_BYTES * r**3 * (c_in + 2 * c_out)


def point_bytes(c_out: int, n: int, *, branches: str = "both") -> int:
    """Bytes at the points of one cloud: c_out numbers for each, once for the grid read back and once for the MLP's result."""
    return FLOAT_BYTES * n * c_out * (2 if branches == "both" else 1)
