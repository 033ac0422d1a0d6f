"""Three small networks for part segmentation: points alone, voxels alone, both. One body, three kinds of block.

Input (b, 3 + classes, n): coordinates, then the class of the object as one-hot rows, as in the paper. Output (b, parts, n).
Paper: Point-Voxel CNN (Liu et al., NeurIPS 2019); the network on points alone follows PointNet (Qi et al., CVPR 2017). Lab: pvcnn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tinylib.nn.layers import initialise
from tinylib.points.pvconv import PVConv, grid_bytes, point_bytes, pvconv_macs, shared_mlp

WIDTHS, RESOLUTIONS = (16, 32), (6, 4)
POINT_WIDTHS = (64, 64, 120, 128)           # points alone get more and wider layers: about as many parameters
GLOBAL, HEAD = 64, 48


class PartNet(nn.Module):
    """Blocks, a shared MLP whose maximum over the points describes the whole object, and a head on the blocks' features, that maximum and the class."""

    def __init__(self, *, classes: int, parts: int, widths: tuple[int, ...], resolutions: tuple[int, ...], branches: str):
        super().__init__()
        self.classes = classes
        ends = (3, *widths)
        self.blocks = nn.ModuleList(PVConv(a, b, r, normalize=False, branches=branches) for a, b, r in zip(ends, widths, resolutions))
        self.whole = shared_mlp(widths[-1], GLOBAL)
        self.head = nn.Sequential(shared_mlp(sum(widths) + GLOBAL + classes, HEAD), nn.Conv1d(HEAD, parts, 1))

    def forward(self, x: Tensor) -> Tensor:
        coords, kind = x[:, :3], x[:, 3:]
        found, features = [], coords
        for block in self.blocks:
            features = block(features, coords)
            found.append(features)
        whole = self.whole(features).amax(2, keepdim=True).expand(-1, -1, x.shape[2])
        return self.head(torch.cat([*found, whole, kind], 1))


def with_class(points: Tensor, kinds: Tensor, classes: int) -> Tensor:
    """Network input (b, 3 + classes, n): points (b, 3, n) with the class of each cloud, `kinds` (b,), as one-hot rows."""
    one_hot = nn.functional.one_hot(kinds, classes).to(points.dtype)
    return torch.cat([points, one_hot[:, :, None].expand(-1, -1, points.shape[2])], 1)


def part_net(*, branches: str = "both", classes: int = 5, parts: int = 13, widths: list[int] | None = None, resolutions: list[int] | None = None,
             generator: torch.Generator | None = None) -> PartNet:
    """`PartNet` of a kind ("both", "voxel", "point") with widths that give all three about the same number of parameters."""
    net = PartNet(classes=classes, parts=parts, branches=branches, **sizes(branches, widths, resolutions))
    return initialise(net, generator or torch.Generator().manual_seed(0))


def sizes(branches: str, widths: Sequence[int] | None = None, resolutions: Sequence[int] | None = None) -> dict[str, tuple[int, ...]]:
    """Widths and resolutions of the blocks, the given ones or those of the lab; blocks on points alone have no grid (resolution 1)."""
    widths = tuple(widths or (POINT_WIDTHS if branches == "point" else WIDTHS))
    return {"widths": widths, "resolutions": (1,) * len(widths) if branches == "point" else tuple(resolutions or RESOLUTIONS)}


@dataclass(frozen=True)
class Cost:
    """What one cloud costs: MACs of the whole network, and the bytes of the grids and point features that its blocks make."""

    macs: int
    grid_bytes: int
    point_bytes: int

    @property
    def bytes(self) -> int:
        """Grids and point features together."""
        return self.grid_bytes + self.point_bytes


def cost(n: int, *, branches: str = "both", classes: int = 5, parts: int = 13, widths: Sequence[int] | None = None,
         resolutions: Sequence[int] | None = None) -> Cost:
    """Cost of `part_net` with the same arguments for one cloud of n points, by formula."""
    size = sizes(branches, widths, resolutions)
    steps = list(zip((3, *size["widths"]), size["widths"], size["resolutions"]))
    last, total = size["widths"][-1], sum(size["widths"])
    blocks = sum(pvconv_macs(a, b, r, n, branches=branches) for a, b, r in steps)
    head = n * (last * GLOBAL + (total + GLOBAL + classes) * HEAD + HEAD * parts)
    grids = sum(grid_bytes(a, b, r) for a, b, r in steps) if branches != "point" else 0
    return Cost(blocks + head, grids, sum(point_bytes(b, n, branches=branches) for _, b, _ in steps))
