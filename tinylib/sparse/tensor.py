"""Sparse tensors: integer coordinates (batch, x, y, z), one row of features for each, and the maps found so far.

A tensor of stride s counts its coordinates in cells of s finest voxels: going down by 2 maps p to floor(p / 2), for negative p too.
Paper: TorchSparse (Tang et al., MLSys 2022). Lab: torchsparse.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tinylib.core.errors import TinylibError
from tinylib.sparse.coords import Triple, checked, has_duplicates, offsets, triple, unique

SEMANTICS = ("floor", "window")


@dataclass(eq=False)
class MapCache:
    """What tensors of one cloud share: the coordinate set of each stride and the kernel map of each (stride, kernel, stride, dilation, ...)."""

    coords: dict[Triple, Tensor] = field(default_factory=dict)
    maps: dict[tuple, object] = field(default_factory=dict)

    def settle(self, stride: Triple, coords: Tensor) -> tuple[Tensor, "MapCache"]:
        """(coords, cache) to go on with: this cache, or a branch of it when another coordinate set already stands at this stride."""
        held = self.coords.setdefault(stride, coords)
        if held is coords or torch.equal(held, coords):
            return held, self
        return coords, MapCache({**self.coords, stride: coords})


@dataclass(frozen=True, eq=False)
class SparseTensor:
    """Coordinates (n, 4) int64 without duplicates, features (n, c), the cell size in finest voxels (three numbers) and the shared cache.

    Make one with `sparse_tensor`, which checks; this class does not look at the values.
    """

    coords: Tensor
    feats: Tensor
    stride: int | Triple = 1
    maps: MapCache = field(default_factory=MapCache)

    def __post_init__(self):
        object.__setattr__(self, "stride", triple(self.stride, "stride"))
        if self.feats.ndim != 2 or len(self.feats) != len(self.coords):
            raise TinylibError(f"{len(self.coords)} coordinates need features of shape ({len(self.coords)}, c), not {tuple(self.feats.shape)}")
        self.maps.coords.setdefault(self.stride, self.coords)

    def __len__(self) -> int:
        return len(self.coords)

    def replace(self, feats: Tensor) -> "SparseTensor":
        """The same voxels with other features (n, c)."""
        return replace(self, feats=feats)


def sparse_tensor(coords: Tensor, feats: Tensor, stride: int | Triple = 1) -> SparseTensor:
    """A checked `SparseTensor`. The order of the rows stays; sorted coordinates are the quickest.

    Raises TinylibError for coordinates that are not (n, 4) whole numbers, a negative batch index, or two rows with the same coordinates.
    """
    coords = checked(coords)
    if len(coords) and coords[:, 0].min() < 0:
        raise TinylibError("the batch index stands first and must not be negative: coordinates are (batch, x, y, z)")
    if has_duplicates(coords):
        raise TinylibError("two rows have the same coordinates; merge them first (quantize gives one row a voxel)")
    return SparseTensor(coords, feats, stride)


def quantize(points: Tensor, size: float, *, batch: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(coords (m, 4) of the voxels that hold a point, inverse (n,)): point i lies in voxel inverse[i]. Voxels are floor(point / size).

    `points` (n, 3) in metres, `size` the voxel's edge in metres, `batch` the index of each point's cloud (0 when left out).
    """
    if points.ndim != 2 or points.shape[1] != 3 or not size > 0:
        raise TinylibError(f"points must be (n, 3) and the voxel size above 0, not {tuple(points.shape)} and {size}")
    if not torch.isfinite(points).all():
        raise TinylibError("points must be finite numbers")
    first = torch.zeros(len(points), dtype=torch.int64) if batch is None else batch.to(torch.int64)
    return unique(torch.cat([first[:, None], torch.floor(points / size).to(torch.int64)], 1))


def downsample(coords: Tensor, factor: int | Triple, *, semantics: str = "floor", kernel: int | Triple = 2, dilation: int | Triple = 1) -> Tensor:
    """Coordinates of the next coarser level, ascending, each once.

    "floor": the cells floor(p / factor) that hold an input. "window": every cell q whose kernel window, factor x q + offset, touches an input.
    """
    if semantics not in SEMANTICS:
        raise TinylibError(f"semantics must be one of {SEMANTICS}, not {semantics!r}")
    coords, factor = checked(coords), torch.tensor((1, *triple(factor, "factor")))
    if semantics == "floor":
        return unique(torch.div(coords, factor, rounding_mode="floor"))[0]
    shifted = (coords[None] - torch.nn.functional.pad(offsets(kernel, dilation), (1, 0))[:, None]).reshape(-1, 4)
    return unique(torch.div(shifted[(shifted % factor == 0).all(1)], factor, rounding_mode="floor"))[0]


def concatenate(a: SparseTensor, b: SparseTensor) -> SparseTensor:
    """Features of both, side by side (n, c_a + c_b); the two must have the same voxels in the same order."""
    if a.stride != b.stride or not (a.coords is b.coords or torch.equal(a.coords, b.coords)):
        raise TinylibError("the two tensors have different voxels; skip connections join tensors of one stride and one cloud")
    return a.replace(torch.cat([a.feats, b.feats], 1))
