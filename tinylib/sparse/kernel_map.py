"""Kernel maps: for every kernel offset d, which input voxel meets which output voxel.

Pair (j, k) belongs to offset d when stride x q_k + dilation x d = p_j; p are the source's coordinates, q the target's.
Offsets are in ascending (x, y, z) order; odd kernels are centred, even ones start at the voxel itself: 3 -> -1, 0, 1 and 2 -> 0, 1.
For stride 1 and odd kernels the map of -d is the map of d with its roles swapped, so only half of the offsets is searched.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from tinylib.core.errors import TinylibError
from tinylib.sparse import lookup
from tinylib.sparse.coords import Box, Triple, bounding_box, checked, offsets, triple

METHODS = ("auto", "grid", "sort", "hash")
GRID_CELLS = 2**22


@dataclass(frozen=True, eq=False)
class KernelMap:
    """Pairs of all offsets, one offset after the other: `inputs`, `outputs` (pairs,) int64, `sizes` (offsets,) how many belong to each.

    Within one offset the outputs ascend and no input and no output occurs twice. `same` says that source and target are one set of voxels
    and that the kernel is centred (odd): then the map is symmetric and the middle offset is the identity.
    """

    inputs: Tensor
    outputs: Tensor
    sizes: Tensor
    n_inputs: int
    n_outputs: int
    same: bool = False

    @property
    def pairs(self) -> int:
        """All pairs; MACs are pairs x channels in x channels out."""
        return len(self.inputs)

    @cached_property
    def starts(self) -> list[int]:
        """First pair of each offset, and the end: len(sizes) + 1 numbers."""
        return [0, *self.sizes.cumsum(0).tolist()]

    @property
    def centre(self) -> int | None:
        """Index of the offset that needs no gather because it is the identity, if there is one."""
        return len(self.sizes) // 2 if self.same else None

    def offset(self, d: int) -> tuple[Tensor, Tensor]:
        """(inputs, outputs) of offset number d."""
        part = slice(self.starts[d], self.starts[d + 1])
        return self.inputs[part], self.outputs[part]

    @cached_property
    def by_input(self) -> Tensor:
        """Pair numbers, all pairs of an input row together: the order of the locality-aware gather."""
        return torch.from_numpy(lookup.stable_order(self.inputs.numpy(), self.n_inputs))

    @cached_property
    def by_output(self) -> Tensor:
        """Pair numbers, all pairs of an output row together: the order of the locality-aware scatter."""
        return torch.from_numpy(lookup.stable_order(self.outputs.numpy(), self.n_outputs))

    @cached_property
    def reversed(self) -> "KernelMap":
        """Roles swapped, offsets in the same order: what a transposed convolution and the gradient of the input need."""
        a, b = lookup.transpose(self.inputs.numpy(), self.outputs.numpy(), self.sizes.numpy(), self.n_inputs)
        return KernelMap(torch.from_numpy(a), torch.from_numpy(b), self.sizes, self.n_outputs, self.n_inputs, self.same)


def kernel_map(source: Tensor, target: Tensor, *, kernel: int | Triple, stride: int | Triple = 1, dilation: int | Triple = 1,
               method: str = "auto") -> KernelMap:
    """The `KernelMap` from `source` (n, 4) to `target` (m, 4), whose coordinates are (batch, x, y, z) without duplicates.

    `method`: "grid" (a dense table of the bounding box), "sort" (sorted keys, merged), "hash" (compares keys), or "auto". All give the same.
    """
    if method not in METHODS:
        raise TinylibError(f"method must be one of {METHODS}, not {method!r}")
    stride, shifts = triple(stride, "stride"), offsets(kernel, dilation)
    same = stride == (1, 1, 1) and all(k % 2 for k in triple(kernel)) and (source is target or torch.equal(source, target))
    source = checked(source)
    target = source if same else checked(target)
    table = np.full((len(shifts), len(target)), -1, np.int32)
    if len(source) and len(target):
        base = source.numpy() if same else (target * torch.tensor((1, *stride))).numpy()
        searched = len(shifts) // 2 if same else len(shifts)
        search(source.numpy(), base, shifts.numpy()[:searched], table[:searched], method)
        if same:
            lookup.mirror(table)
    inputs, outputs, sizes = (torch.from_numpy(a) for a in lookup.compress(table))
    return KernelMap(inputs, outputs, sizes, len(source), len(target), same)


def search(source: np.ndarray, base: np.ndarray, shifts: np.ndarray, table: np.ndarray, method: str) -> None:
    """Fills table[d, k] with the row of `source` at base[k] + shifts[d], -1 where there is none."""
    if not len(shifts):
        return
    box = box_with_margin(source, base, shifts)
    if method == "auto":
        method = "hash" if box.cells >= 2**63 else "grid" if box.cells <= max(GRID_CELLS, 8 * len(source)) else "sort"
    if method == "hash":
        lookup.by_hash(lookup.hash_table(source), source, base, shifts, table)
        return
    keys = box.keys(source)
    steps = shifts @ np.array(box.strides[1:], np.int64)
    base_keys = keys if base is source else box.keys(base)
    if method == "grid":
        if box.cells > 2**28:
            raise TinylibError(f"a grid of {box.cells} cells needs more than 1 GiB; use the method 'sort' or 'hash'")
        lookup.by_grid(box.cells, keys, base_keys, steps, table)
        return
    order = np.argsort(keys, kind="stable")
    base_order = order if base is source else np.argsort(base_keys, kind="stable")
    lookup.by_merge(keys[order], order, base_keys[base_order], base_order, steps, table)


def box_with_margin(source: np.ndarray, base: np.ndarray, shifts: np.ndarray) -> Box:
    """A box around the source and around every base + shift, so that no shifted key can fall on the next row of cells."""
    around = [np.concatenate([[0], corner]) for corner in (shifts.min(0), shifts.max(0))]
    ends = bounding_box(base)
    corners = np.array([ends.low, np.array(ends.low) + ends.shape - 1])
    return bounding_box(source, corners, *(corners + a for a in around))
