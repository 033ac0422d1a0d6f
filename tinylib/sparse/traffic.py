"""Bytes that gather and scatter move, and how often they miss in a small cache, in two orders.

"offset": one kernel offset after the other, so a feature row is fetched again for each offset it takes part in. "row": the locality-aware
order of TorchSparse; gather keeps an input row until it has been written for all its offsets, scatter keeps an output row until all its
products are added. The identity offset of a submanifold map moves nothing. Rows are whole: a cache block holds the channels of one row.
"""

from dataclasses import dataclass

import numba
import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.sparse.kernel_map import KernelMap

ORDERS = ("offset", "row")


@dataclass(frozen=True)
class Traffic:
    """Bytes of one layer between memory and the two buffers, without any cache."""

    gather_read: int
    gather_write: int
    scatter_read: int
    scatter_write: int

    @property
    def total(self) -> int:
        """All four."""
        return self.gather_read + self.gather_write + self.scatter_read + self.scatter_write


def moved_pairs(kmap: KernelMap) -> tuple[np.ndarray, np.ndarray]:
    """(inputs, outputs) of the pairs that are gathered and scattered: all but the identity offset's."""
    inputs, outputs = kmap.inputs.numpy(), kmap.outputs.numpy()
    if kmap.centre is None:
        return inputs, outputs
    keep = np.ones(len(inputs), bool)
    keep[kmap.starts[kmap.centre]:kmap.starts[kmap.centre + 1]] = False
    return inputs[keep], outputs[keep]


def traffic(kmap: KernelMap, c_in: int, c_out: int, *, order: str, bytes_each: int = 4) -> Traffic:
    """Bytes of gather and scatter-add. In order "offset" every sum is read and written for every pair; in order "row" it is written once."""
    check(order)
    inputs, outputs = moved_pairs(kmap)
    row_in, row_out, pairs = c_in * bytes_each, c_out * bytes_each, len(inputs)
    if order == "offset":
        return Traffic(pairs * row_in, pairs * row_in, 2 * pairs * row_out, pairs * row_out)
    return Traffic(len(np.unique(inputs)) * row_in, pairs * row_in, pairs * row_out, len(np.unique(outputs)) * row_out)


def buffer_bytes(sizes: list[int], c_in: int, c_out: int, *, bytes_each: int = 4) -> int:
    """Bytes of the rows that gather writes and scatter reads, from the pairs of each offset of a submanifold map (the middle one moves nothing)."""
    return (sum(sizes) - sizes[len(sizes) // 2]) * (c_in + c_out) * bytes_each


def check(order: str) -> None:
    if order not in ORDERS:
        raise TinylibError(f"order must be one of {ORDERS}, not {order!r}")


def gather_trace(kmap: KernelMap, *, order: str) -> np.ndarray:
    """Rows touched by the gather, in turn: for each pair its feature row, then its buffer row (numbered from n_inputs on)."""
    check(order)
    inputs = moved_pairs(kmap)[0]
    turn = np.arange(len(inputs)) if order == "offset" else np.argsort(inputs, kind="stable")
    return np.stack([inputs[turn], kmap.n_inputs + turn], 1).reshape(-1)


def scatter_trace(kmap: KernelMap, *, order: str) -> np.ndarray:
    """Rows touched by the scatter-add, in turn: for each pair its product row (numbered from n_outputs on), then its output row."""
    check(order)
    outputs = moved_pairs(kmap)[1]
    turn = np.arange(len(outputs)) if order == "offset" else np.argsort(outputs, kind="stable")
    return np.stack([kmap.n_outputs + turn, outputs[turn]], 1).reshape(-1)


@numba.njit(cache=True)
def lru_misses(trace, capacity):
    """Misses of a cache that holds `capacity` blocks, any block anywhere, the one unused for longest leaves. `trace` holds block numbers >= 0."""
    if len(trace) == 0:
        return 0
    if capacity < 1:
        return len(trace)
    blocks = trace.max() + 1
    newer, older = np.full(blocks + 1, -1, np.int64), np.full(blocks + 1, -1, np.int64)
    end = blocks
    newer[end] = older[end] = end
    held = misses = 0
    for block in trace:
        if newer[block] >= 0:
            newer[older[block]], older[newer[block]] = newer[block], older[block]
        else:
            misses += 1
            if held == capacity:
                oldest = newer[end]
                newer[end], older[newer[oldest]] = newer[oldest], end
                newer[oldest] = -1
            else:
                held += 1
        newest = older[end]
        newer[newest], older[block], newer[block], older[end] = block, newest, end, block
    return misses
