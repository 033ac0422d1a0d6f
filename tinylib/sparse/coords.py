"""Integer coordinates (batch, x, y, z): checks, kernel offsets, and boxes that turn a coordinate into one sortable number."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from tinylib.core.errors import TinylibError

Triple = tuple[int, int, int]


def triple(value: int | Triple, name: str = "value") -> Triple:
    """One positive number for x, y and z each; a single number stands for three."""
    out = (value,) * 3 if isinstance(value, int) else tuple(int(v) for v in value)
    if len(out) != 3 or min(out) < 1:
        raise TinylibError(f"{name} must be one positive whole number or three, not {value!r}")
    return out


def offsets(kernel: int | Triple, dilation: int | Triple = 1) -> Tensor:
    """Offsets (kx ky kz, 3) int64 of a kernel, ascending in x, then y, then z; opposite offsets of an odd kernel stand at i and K - 1 - i."""
    axes = [[(i - (k - 1) // 2) * step for i in range(k)] for k, step in zip(triple(kernel, "kernel"), triple(dilation, "dilation"))]
    return torch.tensor(list(product(*axes)), dtype=torch.int64)


def checked(coords: Tensor) -> Tensor:
    """Contiguous int64 coordinates (n, 4), or a TinylibError."""
    if coords.ndim != 2 or coords.shape[1] != 4 or coords.is_floating_point() or coords.is_complex() or coords.dtype == torch.bool:
        raise TinylibError(f"coordinates must be whole numbers of shape (n, 4), not {coords.dtype} {tuple(coords.shape)}")
    return coords.to(torch.int64).contiguous()


@dataclass(frozen=True)
class Box:
    """A box of cells (4 lows, 4 sizes) that numbers its cells in the order of their coordinates: one int64 key each."""

    low: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def cells(self) -> int:
        """Number of cells; a Python int, so it never overflows."""
        return int(np.prod([int(s) for s in self.shape], dtype=object))

    @property
    def strides(self) -> tuple[int, ...]:
        """Key distance of one step along batch, x, y, z."""
        _, x, y, z = self.shape
        return (x * y * z, y * z, z, 1)

    def keys(self, coords: np.ndarray) -> np.ndarray:
        """Key of every row (n,): different for different cells in the box, ascending in lexicographic order."""
        if self.cells >= 2**63:
            raise TinylibError("the coordinates span more than 2**63 cells and cannot be numbered; use the method 'hash'")
        s, low = self.strides, self.low
        key = (coords[:, 0] - low[0]) * s[0]
        for axis in (1, 2, 3):
            key += (coords[:, axis] - low[axis]) * s[axis]
        return key


def bounding_box(*clouds: np.ndarray) -> Box:
    """The smallest box around some coordinate arrays, of which at least one has a row."""
    some = [c for c in clouds if len(c)]
    low = np.min([[c[:, a].min() for a in range(4)] for c in some], axis=0)
    high = np.max([[c[:, a].max() for a in range(4)] for c in some], axis=0)
    return Box(tuple(map(int, low)), tuple(int(h) - int(lo) + 1 for lo, h in zip(low, high)))


def unique(coords: Tensor) -> tuple[Tensor, Tensor]:
    """(coordinates in ascending order, each once; for every given row its row there)."""
    if not len(coords):
        return coords, torch.zeros(0, dtype=torch.int64)
    rows = coords.numpy()
    box = bounding_box(rows)
    if box.cells < 2**63:
        _, first, inverse = np.unique(box.keys(rows), return_index=True, return_inverse=True)
    else:
        _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return coords[torch.from_numpy(first)], torch.from_numpy(inverse.reshape(-1))


def has_duplicates(coords: Tensor) -> bool:
    """Whether two rows are equal."""
    return len(unique(coords)[0]) != len(coords)
